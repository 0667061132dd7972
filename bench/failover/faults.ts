/** How a leader is taken from its clients, and how it comes back: kill -9, SIGSTOP, a cut network. */
import type { BenchCluster } from '../lab/cluster.ts'
import type { Cuts } from './cuts.ts'

export interface Fault {
  readonly name: string
  readonly strike: (cluster: BenchCluster, brokerId: number) => Promise<void>
  /** Resolves when the broker runs again; whether it is in sync is another question. */
  readonly undo: (cluster: BenchCluster, brokerId: number) => Promise<void>
}

export const kill: Fault = {
  name: 'kill -9',
  strike: (cluster, id) => cluster.stop(id, 'SIGKILL'),
  undo: (cluster, id) => cluster.start(id),
}

export const freeze: Fault = {
  name: 'SIGSTOP',
  strike: (cluster, id) => Promise.resolve(cluster.signal(id, 'SIGSTOP')),
  undo: (cluster, id) => Promise.resolve(cluster.signal(id, 'SIGCONT')),
}

export function networkCut(cuts: Cuts): Fault {
  return {
    name: 'network cut',
    strike: (cluster, id) => Promise.resolve(cuts.cut(cluster.kind, id)),
    undo: (cluster, id) => Promise.resolve(cuts.heal(cluster.kind, id)),
  }
}
