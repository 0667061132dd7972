/** A fault is done to a leader that is not the controller, and to one that is. */
import type { Kind } from '../lab/cluster.ts'
import type { Expectation } from '../lab/report.ts'
import type { Fault } from './faults.ts'
import type { Losses } from './leader-lost.ts'

export function bothCases(
  fault: Fault,
  perRound: (kind: Kind) => number,
  expectations: readonly Expectation[],
) {
  return [false, true].map((isController): Losses => {
    const title = `${fault.name} of the leader, ${isController ? 'which is the controller' : 'not the controller'}`
    return { title, fault, isController, perRound, expectations }
  })
}
