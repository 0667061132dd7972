import { describe, expect, test } from 'vitest'
import { withoutAborted, type Fetched } from './kafkajs-mended.ts'

const record = (offset: number, producerId: string): Fetched['messages'][number] => ({
  offset: String(offset),
  key: null,
  isControlRecord: false,
  batchContext: { producerId, inTransaction: true },
})
const marker = (offset: number, producerId: string, type: 0 | 1): Fetched['messages'][number] => ({
  ...record(offset, producerId),
  key: Buffer.from([0, 0, 0, type]),
  isControlRecord: true,
})
const given = (fetched: Fetched): number[] =>
  withoutAborted(fetched)
    .filter(({ isControlRecord }) => !isControlRecord)
    .map(({ offset }) => Number(offset))

describe('the filter of aborted transactions', () => {
  test('leaves out two that have both begun before what was fetched', () => {
    const messages = [
      record(10, 'b'),
      record(11, 'a'),
      record(12, 'c'),
      marker(13, 'a', 0),
      marker(14, 'b', 0),
    ]
    const abortedTransactions = [
      { producerId: 'a', firstOffset: '3' },
      { producerId: 'b', firstOffset: '5' },
    ]
    expect(given({ messages, abortedTransactions })).toEqual([12])
  })

  test('leaves out those that have ended in another order than they began', () => {
    const messages = [
      record(1, 'a'),
      record(2, 'b'),
      record(3, 'b'),
      marker(4, 'b', 0),
      record(5, 'a'),
      marker(6, 'a', 0),
    ]
    const abortedTransactions = [
      { producerId: 'b', firstOffset: '2' },
      { producerId: 'a', firstOffset: '1' },
    ]
    expect(given({ messages, abortedTransactions })).toEqual([])
  })

  test('gives out what a producer writes after its abort, and what is aborted of it later is left out again', () => {
    const messages = [
      record(9, 'a'),
      marker(10, 'a', 0),
      record(11, 'a'),
      marker(12, 'a', 1),
      record(100, 'a'),
      marker(101, 'a', 0),
    ]
    const abortedTransactions = [
      { producerId: 'a', firstOffset: '9' },
      { producerId: 'a', firstOffset: '100' },
    ]
    expect(given({ messages, abortedTransactions })).toEqual([11])
  })

  test('gives out everything where nothing was aborted', () => {
    const messages = [record(1, 'a'), marker(2, 'a', 1)]
    expect(given({ messages, abortedTransactions: null })).toEqual([1])
  })
})
