const encoder = new TextEncoder();

interface Known {
  from: string;
  headers: Uint8Array[];
  /** Headers that were let in. One that is nearly right shares no hash with one that is right. */
  allowed: Set<string>;
}

let known: Known | undefined;

/** Whether a header holds one of the tokens. The time it takes does not tell how much of one. */
export function isAllowed(header: string | null, tokens: string | undefined): boolean {
  if (header === null || !tokens) return false;
  if (known?.from !== tokens) known = read(tokens);
  if (known.allowed.has(header)) return true;
  const given = encoder.encode(header);
  const isRight = known.headers.some(
    (right) =>
      right.byteLength === given.byteLength && crypto.subtle.timingSafeEqual(right, given),
  );
  if (isRight) known.allowed.add(header);
  return isRight;
}

function read(tokens: string): Known {
  const split = tokens.split(",").map((token) => token.trim()).filter(Boolean);
  const headers = split.map((token) => encoder.encode(`Bearer ${token}`));
  return { from: tokens, headers, allowed: new Set() };
}
