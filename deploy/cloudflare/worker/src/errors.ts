/** The request is wrong; the message says what to change. */
export class BadRequest extends Error {}

/** There is no such thing. */
export class NotFound extends Error {}

/** The request does not say enough, or what it continues is over. */
export class Conflict extends Error {}

/** A mart that the answer needs has never been published. */
export class NotPublished extends Error {}
