import { expect, test } from 'vitest'
import { wholeBatches } from '../../../src/replication/follower/whole-batches.ts'
import { batchOf } from '../../log/log-fixture.ts'

const one = batchOf('one')
const two = batchOf({ values: ['two', 'three'] })

test('a batch that is cut in two at the end is not taken', () => {
  const both = Buffer.concat([one, two])
  for (let end = 0; end <= both.length; end++) {
    const whole = end === both.length ? both : end >= one.length ? one : Buffer.alloc(0)
    expect(wholeBatches(both.subarray(0, end)).equals(whole), `of ${end} bytes`).toBe(true)
  }
})

test('a size that is none is left for the log to refuse', () => {
  const bad = Buffer.concat([one, two])
  bad.writeInt32BE(-13, one.length + 8)
  expect(wholeBatches(bad)).toBe(bad)
})
