import { type Encoded, MAX_AGE } from "./http";

const ENTRIES = 1_000;
const BYTES = 16_000_000;

interface Kept {
  answer: Encoded;
  until: number;
}

/** Answers of the last minute in this isolate, by address; the oldest make room. */
export class Memory {
  private readonly kept = new Map<string, Kept>();
  private bytes = 0;

  find(address: string): Encoded | undefined {
    const found = this.kept.get(address);
    return found !== undefined && found.until > Date.now() ? found.answer : undefined;
  }

  keep(address: string, answer: Encoded): void {
    this.forget(address);
    this.kept.set(address, { answer, until: Date.now() + MAX_AGE * 1_000 });
    this.bytes += answer.body.byteLength;
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= ENTRIES && this.bytes <= BYTES) break;
      this.forget(oldest);
    }
  }

  private forget(address: string): void {
    this.bytes -= this.kept.get(address)?.answer.body.byteLength ?? 0;
    this.kept.delete(address);
  }
}
