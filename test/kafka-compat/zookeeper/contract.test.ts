/** The contract of every coordination service, kept by a real ensemble of three servers, with and without a chroot. */
import { afterAll, beforeAll } from 'vitest'
import { createZookeeperCoordination } from '../../../src/env/node/zookeeper.ts'
import { coordinationContract } from '../../coordination/contract.ts'
import { startEnsemble, type Ensemble } from './ensemble.ts'
import { nodeTime } from './node-time.ts'

let ensemble: Ensemble
beforeAll(async () => {
  ensemble = await startEnsemble(3)
})
afterAll(() => ensemble?.stop())

for (const [name, chroot] of [
  ['ZooKeeper', ''],
  ['ZooKeeper, below a chroot', '/some/where'],
] as const) {
  coordinationContract(name, async () => ({
    coordination: createZookeeperCoordination({
      ...nodeTime,
      connect: ensemble.connect + chroot,
      connectionTimeoutMs: 10_000,
    }),
    stop: async () => undefined,
  }))
}
