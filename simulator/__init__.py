"""A fleet of vending machines with a seed: its files, its vendor API, and faults on request.

Used in development, tests and benchmarks. The same state (seed, machines, days, end date,
faults) always gives the same bytes. Nothing here imports the pipeline, so that the pipeline is
tested against data it did not make.

Where to look: what is sold (`catalogue`), who sells it where (`fleet`), the weather (`weather`),
who wants to buy (`demand`), what the slots can give (`stock`), the resulting rows (`history`),
their bytes (`files`, `masters`), what is broken on purpose (`faults`), what arrives later
(`deliveries`), and the vendor API (`feeds`, `api`).
"""
