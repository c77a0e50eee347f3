const encoder = new TextEncoder();
let known: { from: string; tokens: Uint8Array[] } | undefined;

/** Whether a header holds one of the tokens. The time it takes does not tell how much of one. */
export function isAllowed(header: string | null, tokens: string | undefined): boolean {
  if (header === null || !header.startsWith("Bearer ") || !tokens) return false;
  if (known?.from !== tokens) {
    const split = tokens.split(",").map((token) => token.trim()).filter(Boolean);
    known = { from: tokens, tokens: split.map((token) => encoder.encode(token)) };
  }
  const given = encoder.encode(header.slice("Bearer ".length));
  return known.tokens.some(
    (token) =>
      token.byteLength === given.byteLength && crypto.subtle.timingSafeEqual(token, given),
  );
}
