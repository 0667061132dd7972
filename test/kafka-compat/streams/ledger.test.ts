/** The checker of the ledger is checked. */
import { describe, expect, test } from 'vitest'
import type { KcatRecord } from '../harness/kcat.ts'
import { wrongInLedger } from './ledger.ts'

const orders = ['a x 5', 'a y 7', 'b x 1'].map((value, index) => ({
  key: String(index),
  value,
  timestamp: '0',
}))
const records = (lines: readonly string[]): KcatRecord[] =>
  lines.map((line, offset) => {
    const [key, ...payload] = line.split(' ')
    return { topic: 't', partition: 0, offset, ts: 0, key, payload: payload.join(' ') }
  })
const branches = records(['x 5', 'x 6', 'y 7'])

describe('the ledger', () => {
  test('is right where every order was entered once', () => {
    expect(wrongInLedger(orders, records(['a 1 1 7', 'b 2 1 1', 'a 0 2 12']), branches)).toEqual([])
  })

  test.each([
    ['a lost order', ['a 0 1 5', 'b 2 1 1'], branches, ['order 1: not entered']],
    [
      'an order entered twice',
      ['a 0 1 5', 'a 1 2 12', 'a 1 3 19', 'b 2 1 1'],
      branches,
      ['a 1 3 19 (entries-0@2): entered twice'],
    ],
    [
      'a store that forgot',
      ['a 0 1 5', 'a 1 1 7', 'b 2 1 1'],
      branches,
      ['a 1 1 7 (entries-0@1): after entry 1', 'a 1 1 7 (entries-0@1): after balance 5'],
    ],
    [
      'a table that counted twice',
      ['a 0 1 5', 'a 1 2 12', 'b 2 1 1'],
      records(['x 11', 'y 7']),
      ['x: 11 instead of 6'],
    ],
    [
      'an entry of no order',
      ['a 0 1 5', 'a 1 2 12', 'b 2 1 1', 'b 9 2 3'],
      branches,
      ['b 9 2 3 (entries-0@3): no such order', 'b 9 2 3 (entries-0@3): after balance 1'],
    ],
  ])('is wrong with %s', (_, entries, table, wrong) => {
    expect(wrongInLedger(orders, records(entries), table)).toEqual(wrong)
  })
})
