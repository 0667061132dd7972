import { assert } from '../../base/assert.ts'
import type { Later } from '../later.ts'
import type { Parked } from './turn.ts'

/** The reply to one request: there when the decision gave it at once, else to come. No promise is made for the former. */
export class Reply<Result, Response> implements Parked<Result> {
  readonly #toResponse: (result: Result) => Response
  #response: Response | undefined
  #resolve: ((response: Response) => void) | undefined

  constructor(toResponse: (result: Result) => Response) {
    this.#toResponse = toResponse
  }

  answer(result: Result): void {
    assert(this.#response === undefined, 'a request is answered once')
    this.#response = this.#toResponse(result)
    this.#resolve?.(this.#response)
  }

  take(): Later<Response> {
    return (
      this.#response ??
      new Promise((resolve) => {
        this.#resolve = resolve
      })
    )
  }
}
