/** One broker on a disk in memory for all tests of a file. */
import { afterAll, beforeAll, expect } from 'vitest'
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { startProcess, type BrokerProcess, type ProcessOptions } from './broker-process.ts'
import type { WireClient } from './wire-client.ts'

export interface BrokerInUse {
  process: BrokerProcess
  client: WireClient
}

/** Started before the tests and stopped after them; whatever it did not foresee fails the file. */
export function useBroker(
  properties: Properties = {},
  capacityBytes = Infinity,
  options: ProcessOptions = {},
): BrokerInUse {
  const inUse = {} as BrokerInUse
  beforeAll(async () => {
    inUse.process = await startProcess(
      new SimDisk({ random: new SeededRandom(1), capacityBytes }),
      properties,
      options,
    )
    inUse.client = await inUse.process.connect()
  })
  afterAll(async () => {
    await inUse.process.stop()
    expect(inUse.process.bugs).toEqual([])
  })
  return inUse
}
