import { MAX_AGE } from "./http";
import type { Answer } from "./types";

const ENTRIES = 1_000;
const CHARACTERS = 16_000_000;

interface Kept {
  answer: Answer;
  until: number;
}

/** Answers of the last minute in this isolate; the oldest make room. Errors are not kept. */
export class Memory {
  private readonly kept = new Map<string, Kept>();
  private characters = 0;

  async get(key: string, make: () => Promise<Answer>): Promise<Answer> {
    const found = this.kept.get(key);
    if (found !== undefined && found.until > Date.now()) return found.answer;
    if (found !== undefined) this.forget(key, found);
    const answer = await make();
    this.keep(key, answer);
    return answer;
  }

  private keep(key: string, answer: Answer): void {
    const before = this.kept.get(key);
    if (before !== undefined) this.forget(key, before);
    this.kept.set(key, { answer, until: Date.now() + MAX_AGE * 1_000 });
    this.characters += answer.body.length;
    for (const [oldest, kept] of this.kept) {
      if (this.kept.size <= ENTRIES && this.characters <= CHARACTERS) break;
      this.forget(oldest, kept);
    }
  }

  private forget(key: string, kept: Kept): void {
    this.kept.delete(key);
    this.characters -= kept.answer.body.length;
  }
}
