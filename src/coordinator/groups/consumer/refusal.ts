/** An expected outcome that is not what was asked for, with Kafka's error code. */
export interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

export function refusal(errorCode: number, errorMessage: string): Refusal {
  return { errorCode, errorMessage }
}

export function isRefusal(outcome: object | undefined): outcome is Refusal {
  return outcome !== undefined && 'errorCode' in outcome && 'errorMessage' in outcome
}
