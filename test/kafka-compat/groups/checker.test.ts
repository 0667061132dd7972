/** The checker finds what is wrong in histories made by hand, and nothing in those that are right. */
import { describe, expect, test } from 'vitest'
import { GroupChecker } from './checker.ts'
import { parse } from './history.ts'
import type { Observation } from './history.ts'

/** Lines of members, and observations of others; what is found, as `kind: what`. */
function found(
  history: readonly (string | Observation)[],
  instances: Record<string, string> = {},
  unacknowledgedMs: Record<string, number> = {},
): string[] {
  const checker = new GroupChecker()
  for (const [member, ms] of Object.entries(unacknowledgedMs)) checker.isOfConsumerProtocol(member, ms)
  for (const [member, instanceId] of Object.entries(instances)) checker.isStatic(member, instanceId)
  for (const each of history) {
    for (const seen of typeof each === 'string' ? parse(each) : [each]) checker.observe(seen)
  }
  return checker.verdict().map(({ kind, what }) => `${kind}: ${what}`)
}

const acknowledged = (partition: number, offset: number, value: string): Observation => {
  return { kind: 'acknowledged', partition, offset, value }
}
const fetched = (askedMs: number, partition: number, offset: number): Observation => {
  return { kind: 'fetched', askedMs, partition, offset }
}

describe('a right history', () => {
  test('of an eager rebalance: all is given back, and then given out anew', () => {
    const history = [
      '100 ann a 1 0,1',
      '110 ann r 0 0 zero',
      '120 ann c 0:1',
      '200 ann v 0,1',
      '210 ann a 2 0',
      '210 bob a 2 1',
      '220 bob r 1 0 one',
    ]
    const others = [acknowledged(0, 0, 'zero'), acknowledged(1, 0, 'one'), fetched(300, 0, 1)]
    expect(found([...history, ...others])).toEqual([])
  })

  test('of a cooperative one: what moves is given back first, the rest stays', () => {
    expect(
      found(['100 ann a 1 0,1', '200 ann v 1', '201 ann a 2 0', '300 bob a 3 1', '301 ann a 3 0']),
    ).toEqual([])
  })

  test('of a member that was put out of the group and learned it late', () => {
    expect(
      found(['100 ann a 1 0', '900 bob a 2 0', '1000 ann l 0', '1100 ann a 3 ', '1100 bob a 3 0']),
    ).toEqual([])
  })

  test('of the consumer protocol: what was given to one who did not say so in time, and to another, is soon given back', () => {
    const late = ['100 ann a 1 0', '250 bob a 2 0', '300 ann v 0']
    expect(found(late, {}, { ann: 200, bob: 200 })).toEqual([])
    expect(found(['250 bob a 2 0', '260 ann a 1 0', '300 ann v 0'], {}, { ann: 200 })).toEqual([])
    const kind = 'two owners at once: partition 0'
    expect(found(late, {}, { ann: 199, bob: 200 })).toEqual([`${kind}: ann until 300, bob from 250`])
    expect(found(late, {}, { bob: 200 })).toEqual([`${kind}: ann until 300, bob from 250`])
  })

  test('of a static member that comes back under another name, in the same generation', () => {
    const instances = { ann: 'first', 'ann-again': 'first' }
    const crashed: Observation = { kind: 'crashed', atMs: 150, member: 'ann' }
    expect(found(['100 ann a 1 0', crashed, '200 ann-again a 1 0'], instances)).toEqual([])
  })

  test('of a member whose generation is told after what it has', () => {
    expect(found(['100 ann a -1 0', '110 ann g 4', '120 ann v 0', '130 bob a -1 0', '140 bob g 5'])).toEqual(
      [],
    )
  })

  test('of records that are read twice, and a commit whose acknowledgement comes after it was seen', () => {
    const history = [
      '100 ann a 1 0',
      '110 ann r 0 0 zero',
      '150 ann v 0',
      '160 bob a 2 0',
      '170 bob r 0 0 zero',
    ]
    const others = [acknowledged(0, 0, 'zero'), fetched(171, 0, 1), '180 bob c 0:1', fetched(190, 0, 1)]
    expect(found([...history, ...others])).toEqual([])
  })
})

describe('is found:', () => {
  test('a partition with two owners in a generation', () => {
    expect(found(['100 ann a 3 0,1', '200 ann v 0,1', '300 bob a 3 1'])).toEqual([
      'two owners in a generation: partition 1 in generation 3: ann and bob',
    ])
    expect(found(['100 ann a -1 1', '110 ann g 3', '200 ann v 1', '300 bob a -1 1', '310 bob g 3'])).toEqual([
      'two owners in a generation: partition 1 in generation 3: ann and bob',
    ])
  })

  test('a partition that is given out before it was given back', () => {
    expect(found(['100 ann a 1 0', '200 bob a 2 0', '250 ann v 0'])).toEqual([
      'two owners at once: partition 0: ann until 250, bob from 200',
    ])
  })

  test('one that two members have in the end', () => {
    expect(found(['100 ann a 1 0', '200 bob a 2 0'])).toEqual([
      'two owners at once: partition 0: ann until Infinity, bob from 200',
    ])
  })

  test('one behind a short interval of a third', () => {
    const history = ['100 ann a 1 0', '120 bob a 2 0', '130 bob l 0', '200 cat a 3 0', '300 ann v 0']
    expect(found(history)).toEqual(['two owners at once: partition 0: ann until 300, cat from 200'])
  })

  test('one of a member that was killed after another had its partition', () => {
    const crashed: Observation = { kind: 'crashed', atMs: 300, member: 'ann' }
    expect(found(['100 ann a 1 0', '200 bob a 2 0', crashed])).toEqual([
      'two owners at once: partition 0: ann until 300, bob from 200',
    ])
  })

  test('two owners in one description of the group', () => {
    const owners = new Map([
      ['ann', [0, 1]],
      ['bob', [1]],
    ])
    expect(found([{ kind: 'described', owners }])).toEqual(['two owners described: partition 1: ann and bob'])
  })

  test('a record that nobody has read', () => {
    const history = [acknowledged(0, 0, 'zero'), acknowledged(0, 1, 'one'), '100 ann r 0 0 zero']
    expect(found(history)).toEqual(['record lost: one was read by nobody'])
    expect(found([acknowledged(0, -1, 'zero')])).toEqual(['record lost: zero was read by nobody'])
    expect(found([acknowledged(0, 3, 'three'), '100 ann r 0 3 two'])).toEqual([
      'record lost: three (at partition 0, offset 3 was two) was read by nobody',
    ])
    expect(found([acknowledged(0, -1, 'zero'), '100 ann r 0 7 zero'])).toEqual([])
  })

  test('another record where one was', () => {
    expect(found(['100 ann r 0 0 zero', '200 bob r 0 0 one'])).toEqual([
      'another record: partition 0, offset 0: zero, then one',
    ])
  })

  test('a committed offset that moves back', () => {
    const read = ['100 ann r 0 0 zero', '100 ann r 0 1 one']
    expect(found([...read, fetched(200, 0, 2), fetched(300, 0, 1), fetched(400, 0, 2)])).toEqual([
      'commit moved back: partition 0: from 2 to 1',
    ])
    expect(found([...read, fetched(200, 0, 2), fetched(300, 0, -1)])).toEqual([
      'commit moved back: partition 0: from 2 to -1',
    ])
  })

  test('an acknowledged commit that is not there', () => {
    const read = ['100 ann r 0 0 zero', '100 ann r 0 1 one', '200 ann c 0:2']
    expect(found([...read, fetched(300, 0, 1)])).toEqual([
      'commit lost: partition 0: 2 was acknowledged, 1 is there',
    ])
    expect(found([...read, fetched(150, 0, 1)])).toEqual([])
  })

  test('a commit ahead of what was read', () => {
    expect(found(['100 ann r 0 0 zero', '100 ann r 0 2 two', fetched(300, 0, 3)])).toEqual([
      'committed, not read: partition 0: 3 is committed, 1 was read by nobody',
    ])
  })

  test('a member that gave up', () => {
    expect(found(['100 ann f no such group'])).toEqual(['member failed: ann: no such group'])
  })
})
