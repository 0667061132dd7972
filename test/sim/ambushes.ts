/**
 * Faults that wait for their moment: an in-sync set that has just grown, a controller that has just been elected. By chance
 * alone these moments, of a few milliseconds each, would hardly ever be met.
 */
import type { SeededRandom } from '../../src/env/sim/random.ts'
import { DATA_DIRECTORY, type SimCluster, type SimNode } from './cluster.ts'
import type { Fault } from './faults.ts'

const TOPIC = 't'
const NAME = `${TOPIC}-0`
/** Of loads.ts: the one that sends ahead. */
const PRODUCER = 'idempotent'
export const NEWCOMER = 'newcomer'
const SLOW = { minDelayMs: 50, maxDelayMs: 300, loss: 0 }
const GOOD = { minDelayMs: 0.1, maxDelayMs: 1, loss: 0 }

/** What befalls the one who is lain in wait for; gives what puts it right. */
function befall(cluster: SimCluster, node: SimNode, random: SeededRandom): () => void {
  const chance = random.next()
  const { process, host } = node
  if (chance < 0.6 || process === null) {
    node.kill()
    return () => node.start()
  }
  if (chance < 0.8) {
    cluster.log(host, 'is stopped')
    process.stop()
    return () => process.resume()
  }
  cluster.log(host, 'its session is expired')
  cluster.ensemble.expire(host)
  return () => undefined
}

/** A new controller is struck in the midst of its first works. */
const newController: Fault = {
  name: 'new controller',
  weight: 1,
  begin(cluster, random) {
    const { ledger } = cluster
    const { controllerEpoch } = ledger
    let mend = (): void => undefined
    // At once: the claims of those who were slower have not arrived yet.
    const afterMs = random.next() < 0.5 ? 0 : random.next() * 20
    const callOff = cluster.ambush(
      () => ledger.controllerEpoch > controllerEpoch,
      () => {
        cluster.scheduler.timers.after(afterMs, () => {
          const node = cluster.node(ledger.controllerId)
          if (random.next() < 0.5) cluster.deleteController()
          else if (node !== undefined) mend = befall(cluster, node, random)
        })
      },
    )
    if (random.next() < 0.5) cluster.deleteController()
    return () => {
      callOff()
      mend()
    }
  },
}

/**
 * A broker goes, and comes back to a leader whose answers, or whose word to the controller, take their time. What it loses on
 * the way (the records, where nobody counts on it), and what becomes of the leader as soon as it counts on it, is left to the seed.
 */
const newcomer: Fault = {
  name: NEWCOMER,
  weight: 1.5,
  begin(cluster, random) {
    const { ledger } = cluster
    const newcomer = cluster.nodes[random.integer(cluster.nodes.length)]
    if (!newcomer.isUp) return null
    const undone: (() => void)[] = []
    newcomer.kill()
    const callOff = cluster.ambush(
      () => !ledger.isInSync(newcomer.id),
      () => {
        const leader = cluster.node(ledger.partitions.get(NAME)?.leader ?? -1)
        if (leader !== undefined) undone.push(...awaitNewcomer(cluster, random, { newcomer, leader }))
        newcomer.start()
      },
    )
    return () => {
      callOff()
      for (const undo of undone) undo()
      newcomer.start()
    }
  },
}

function awaitNewcomer(
  cluster: SimCluster,
  random: SeededRandom,
  { newcomer, leader }: { newcomer: SimNode; leader: SimNode },
): (() => void)[] {
  const { ledger, links } = cluster
  const controller = cluster.node(ledger.controllerId)
  const isControllerFar = controller !== undefined && controller !== leader && random.next() < 0.7
  const far = isControllerFar ? controller : newcomer
  cluster.log('network', `${leader.host} to ${far.host} is slow`)
  links.setQuality(leader.host, far.host, SLOW)
  return [
    () => links.setQuality(leader.host, far.host, GOOD),
    isControllerFar ? ambushBeforeGrant(cluster, random, { newcomer, leader }) : () => undefined,
    ambushAfterGrant(cluster, random, { newcomer, leader }),
  ]
}

/** It has fetched all, and the leader asks for it to be taken in: then it is gone, and back at once with less. */
function ambushBeforeGrant(
  cluster: SimCluster,
  random: SeededRandom,
  { newcomer, leader }: { newcomer: SimNode; leader: SimNode },
): () => void {
  if (random.next() < 0.3) return () => undefined
  const awayMs = random.next() * 20
  const isAsked = (): boolean => {
    const partition = leader.broker?.parts.services.replicas.get(TOPIC, 0)
    const follower = partition?.followers.find(({ brokerId }) => brokerId === newcomer.id)
    return newcomer.isUp && follower !== undefined && follower.logEndOffset === partition?.log.logEndOffset
  }
  return cluster.ambush(isAsked, () => {
    const { ledger, scheduler } = cluster
    if (ledger.partitions.get(NAME)?.isr.includes(newcomer.id)) return
    ledger.bereft.set(newcomer.id, NAME)
    newcomer.kill()
    newcomer.disk.remove(`${DATA_DIRECTORY}/${NAME}`)
    cluster.log(newcomer.host, `its ${NAME} is lost`)
    scheduler.timers.after(awayMs, () => newcomer.start())
  })
}

/** It counts: the leader is struck before it has told it anything more. */
function ambushAfterGrant(
  cluster: SimCluster,
  random: SeededRandom,
  { newcomer, leader }: { newcomer: SimNode; leader: SimNode },
): () => void {
  let mend = (): void => undefined
  const isGranted = (): boolean => {
    return cluster.ledger.partitions.get(NAME)?.isr.includes(newcomer.id) ?? false
  }
  const callOff = cluster.ambush(isGranted, () => {
    if (random.next() < 0.8) mend = befall(cluster, leader, random)
  })
  return () => {
    callOff()
    mend()
  }
}

/**
 * All brokers are stopped in order and started again, one after the other, when a producer has several batches under way; it
 * hears of none of them before all are back. What is known of it then is what they have kept.
 */
const unheardRestart: Fault = {
  name: 'unheard restart',
  weight: 1,
  begin(cluster, random) {
    const { links, ledger } = cluster
    const hasSeveral = (): boolean => {
      const leader = cluster.node(ledger.partitions.get(NAME)?.leader ?? -1)
      const partition = leader?.broker?.parts.services.replicas.get(TOPIC, 0)
      if (!partition?.isLeader) return false
      const isUnderWay = (batch: { lastOffset: number } | undefined): boolean =>
        batch !== undefined && batch.lastOffset >= partition.highWatermark
      return [...partition.log.producers()].some(({ batches }) => isUnderWay(batches.at(-2)))
    }
    const [first, ...others] = cluster.nodes
    const order = random.next() < 0.5 ? [first, ...others] : [...others, first]
    let isOver = false
    const callOff = cluster.ambush(hasSeveral, () => {
      for (const { host } of order) links.cut(host, PRODUCER)
      const restart = async (node: SimNode): Promise<void> => {
        if (isOver || !(await node.stop()) || isOver) return
        node.start()
        const next = order[order.indexOf(node) + 1]
        if (next !== undefined)
          cluster.ambush(
            () => node.broker !== null,
            () => void restart(next),
          )
      }
      void restart(order[0])
    })
    return () => {
      isOver = true
      callOff()
      for (const { host } of order) links.heal(host, PRODUCER)
      for (const node of order) {
        // What has not come to its end by now is killed.
        if (!node.wanted) node.kill()
        node.start()
      }
    }
  },
}

export const AMBUSHES: readonly Fault[] = [newController, newcomer, unheardRestart]
