"""tmp"""

import json


def summarise(layout, progress, started_at, elapsed):
    return {"s": [p.state for p in progress], "e": elapsed}


def write_json(r, p):
    p.write_text(json.dumps(r))


def show(r, c):
    c.print(r)
