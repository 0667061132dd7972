import { describe, expect, it } from 'vitest'
import { comesAgain } from './comes-again.ts'

const classic = { isClassic: true, hasLostBroker: false }
const fencedByJava =
  'org.apache.kafka.common.errors.FencedInstanceIdException: The broker rejected this static consumer'
const fencedByLibrdkafka = 'FENCED_INSTANCE_ID as "i0-b1e42239-c256-44d2-8029-1c89ea97884f"'

describe('a member that has failed is started again', () => {
  it.each([fencedByJava, fencedByLibrdkafka])('when it was fenced and has lost the broker: %s', (reason) => {
    expect(comesAgain(reason, { ...classic, hasLostBroker: true })).toBe(true)
    expect(comesAgain(reason, classic)).toBe(false)
    expect(comesAgain(reason, { isClassic: false, hasLostBroker: true })).toBe(false)
  })

  it('when it was fenced because it had forgotten its member id', () => {
    expect(comesAgain('FENCED_INSTANCE_ID as ""', classic)).toBe(true)
  })

  it('when its predecessor is still there', () => {
    expect(comesAgain('org.apache.kafka.common.errors.UnreleasedInstanceIdException: no', classic)).toBe(true)
  })

  it('but not after any other error', () => {
    expect(comesAgain('GROUP_AUTHORIZATION_FAILED as ""', { ...classic, hasLostBroker: true })).toBe(false)
  })
})
