/** An expected outcome that is not what was asked for, with Kafka's error code. */
export interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

/** Texts name what clients sent, and no string of a message is longer than 32,767 bytes. */
export const MAX_TEXT_LENGTH = 10_000

export function refusal(errorCode: number, text: string): Refusal {
  const errorMessage = text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH - 1)}…` : text
  return { errorCode, errorMessage }
}

export function isRefusal(outcome: object | undefined): outcome is Refusal {
  return outcome !== undefined && 'errorCode' in outcome && 'errorMessage' in outcome
}
