/** What both directions of a hand-over expect of the broker that takes over. */
import { expect } from 'vitest'
import { sendSequenced } from './fill.ts'

/** What Kafka's log says of directories that were not closed, or not well. */
export const LOADED_WITH_REPAIRS =
  /no clean shutdown file was found|[Rr]ecovering|[Rr]ebuil(t|ding) (the )?(time |offset )?index|[Cc]orrupt|orphaned|[Tt]runcat/

const OUT_OF_ORDER_SEQUENCE_NUMBER = 45

/**
 * The broker knows the producer that sent `sent` batches of five before: it does not take the last one again, refuses one
 * that leaves something out, and takes the next.
 */
export async function expectProducerKnown(port: number, sent: number): Promise<void> {
  expect(await sendSequenced(port, sent - 1)).toEqual({ errorCode: 0, baseOffset: 5 * (sent - 1) })
  expect(await sendSequenced(port, sent + 1)).toMatchObject({ errorCode: OUT_OF_ORDER_SEQUENCE_NUMBER })
  expect(await sendSequenced(port, sent)).toEqual({ errorCode: 0, baseOffset: 5 * sent })
}
