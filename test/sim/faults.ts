/** Bad days, by seed: what may go wrong, for how long, and how it is put right. */
import type { SeededRandom } from '../../src/env/sim/random.ts'
import { AMBUSHES } from './ambushes.ts'
import { ENSEMBLE, SESSION_TIMEOUT_MS, type SimCluster, type SimNode } from './cluster.ts'

export interface Fault {
  readonly name: string
  /** How often, against the others. */
  readonly weight: number
  /** Gives what puts it right. */
  begin(cluster: SimCluster, random: SeededRandom): (() => void) | null
}

const anyNode = (cluster: SimCluster, random: SeededRandom): SimNode => {
  return cluster.nodes[random.integer(cluster.nodes.length)]
}

/** Two of the brokers, or a broker and the ensemble. */
function anyWay(cluster: SimCluster, random: SeededRandom): [string, string] {
  const hosts = [...cluster.nodes.map(({ host }) => host), ENSEMBLE]
  const from = random.integer(hosts.length)
  const to = (from + 1 + random.integer(hosts.length - 1)) % hosts.length
  return [hosts[from], hosts[to]]
}

const kill: Fault = {
  name: 'kill',
  weight: 4,
  begin(cluster, random) {
    const node = anyNode(cluster, random)
    if (!node.isUp) return null
    node.kill()
    return () => node.start()
  },
}

const stall: Fault = {
  name: 'stall',
  weight: 3,
  begin(cluster, random) {
    const { process, host } = anyNode(cluster, random)
    if (process === null || process.isStopped) return null
    cluster.log(host, 'is stopped')
    process.stop()
    return () => {
      cluster.log(host, 'goes on')
      process.resume()
    }
  },
}

const cut: Fault = {
  name: 'cut',
  weight: 3,
  begin(cluster, random) {
    const [from, to] = anyWay(cluster, random)
    const bothWays = random.next() < 0.5
    cluster.log('network', `${from} ${bothWays ? 'and' : 'to'} ${to} is cut`)
    cluster.links.cut(from, to)
    if (bothWays) cluster.links.cut(to, from)
    return () => {
      cluster.log('network', `${from} to ${to} is healed`)
      cluster.links.heal(from, to)
      cluster.links.heal(to, from)
    }
  },
}

const isolate: Fault = {
  name: 'isolate',
  weight: 1,
  begin(cluster, random) {
    const { host } = anyNode(cluster, random)
    const others = [...cluster.nodes.map((node) => node.host), ENSEMBLE].filter((other) => other !== host)
    const withEnsemble = random.next() < 0.5
    const cutOff = others.filter((other) => withEnsemble || other !== ENSEMBLE)
    cluster.log('network', `${host} is cut off from ${cutOff.join()}`)
    for (const other of cutOff) {
      cluster.links.cut(host, other)
      cluster.links.cut(other, host)
    }
    return () => {
      cluster.log('network', `${host} is back`)
      for (const other of cutOff) {
        cluster.links.heal(host, other)
        cluster.links.heal(other, host)
      }
    }
  },
}

const slow: Fault = {
  name: 'slow',
  weight: 2,
  begin(cluster, random) {
    const [from, to] = anyWay(cluster, random)
    const quality =
      random.next() < 0.5
        ? { minDelayMs: 50, maxDelayMs: 300, loss: 0 }
        : { minDelayMs: 0.1, maxDelayMs: 5, loss: 0.2 }
    cluster.log('network', `${from} to ${to} is slow`)
    cluster.links.setQuality(from, to, quality)
    return () => cluster.links.setQuality(from, to, { minDelayMs: 0.1, maxDelayMs: 1, loss: 0 })
  },
}

const expire: Fault = {
  name: 'expire',
  weight: 2,
  begin(cluster, random) {
    const { host } = anyNode(cluster, random)
    cluster.log(ENSEMBLE, `the session of ${host} is expired`)
    cluster.ensemble.expire(host)
    return () => undefined
  },
}

const ensembleLost: Fault = {
  name: 'ensemble lost',
  weight: 0.5,
  begin(cluster) {
    if (!cluster.ensemble.isAvailable) return null
    cluster.log(ENSEMBLE, 'has no majority')
    cluster.ensemble.setAvailable(false)
    return () => {
      cluster.log(ENSEMBLE, 'has a majority')
      cluster.ensemble.setAvailable(true)
    }
  },
}

const diskFull: Fault = {
  name: 'disk full',
  weight: 1,
  begin(cluster, random) {
    const { disk, host } = anyNode(cluster, random)
    cluster.log(host, 'its disk is full')
    disk.capacityBytes = disk.usedBytes() + random.integer(300)
    return () => {
      disk.capacityBytes = Infinity
    }
  },
}

const stopCleanly: Fault = {
  name: 'clean stop',
  weight: 1.5,
  begin(cluster, random) {
    const node = anyNode(cluster, random)
    if (!node.isUp || node.process!.isStopped) return null
    void node.stop()
    return () => {
      // What has not come to its end by then is killed.
      node.kill()
      node.start()
    }
  },
}

/** After a clean stop the power may go: all is on the disk. */
const switchOff: Fault = {
  name: 'switched off',
  weight: 1,
  begin(cluster, random) {
    const nodes = random.next() < 0.5 ? cluster.nodes : [anyNode(cluster, random)]
    if (nodes.some(({ isUp, process }) => !isUp || process!.isStopped)) return null
    for (const node of nodes) void node.switchOff()
    return () => {
      for (const node of nodes) {
        node.kill()
        node.powerOn()
      }
    }
  },
}

const deleteController: Fault = {
  name: 'controller deleted',
  weight: 1,
  begin(cluster) {
    cluster.log(ENSEMBLE, 'its /controller is deleted')
    cluster.deleteController()
    return () => undefined
  },
}

export const ANY_FAULTS: readonly Fault[] = [
  kill,
  stall,
  cut,
  isolate,
  slow,
  expire,
  ensembleLost,
  diskFull,
  stopCleanly,
  switchOff,
  deleteController,
  ...AMBUSHES,
]

/** Several at a time, for `durationMs`; then everything is put right. */
export async function badDay(
  cluster: SimCluster,
  random: SeededRandom,
  durationMs: number,
  faults: readonly Fault[],
): Promise<string[]> {
  const endMs = cluster.scheduler.elapsedMs + durationMs
  const total = faults.reduce((sum, { weight }) => sum + weight, 0)
  const open = new Set<() => void>()
  const names: string[] = []
  while (cluster.scheduler.elapsedMs < endMs) {
    await cluster.scheduler.advance(50 + random.next() * 1200)
    let left = random.next() * total
    const fault = faults.find(({ weight }) => (left -= weight) < 0) ?? faults[0]
    const mend = fault.begin(cluster, random)
    if (mend === null) continue
    names.push(fault.name)
    const mendOnce = (): void => {
      if (open.delete(mendOnce)) mend()
    }
    open.add(mendOnce)
    // Most are over before a session is, some outlast it.
    cluster.scheduler.timers.after(100 + random.next() ** 2 * 2.5 * SESSION_TIMEOUT_MS, mendOnce)
  }
  for (const mend of [...open]) mend()
  cluster.links.healAll()
  for (const node of cluster.nodes) node.start()
  cluster.log('all', 'the faults are over')
  return names
}

/**
 * One machine after the other loses its power, and with it what its disk had not synced; the next one not before the
 * cluster is well again. More at a time is more than an in-sync set promises to survive.
 */
export async function powerCuts(
  cluster: SimCluster,
  random: SeededRandom,
  count: number,
  isWell: () => boolean,
): Promise<string[]> {
  const names: string[] = []
  let node = anyNode(cluster, random)
  for (let i = 0; i < count; i++) {
    await cluster.scheduler.advance(200 + random.next() * 800)
    // What a start after a clean stop leaves behind is seen at the next power cut.
    const isClean = i < count - 1 && random.next() < 0.3
    names.push(isClean ? 'clean restart' : 'power cut')
    if (isClean) await cluster.scheduler.until(node.stop(), 60_000)
    else node.powerOff()
    await cluster.scheduler.advance(20 + random.next() ** 2 * 2 * SESSION_TIMEOUT_MS)
    node.powerOn()
    await cluster.until(
      () => isWell() && node.broker !== null,
      60_000,
      'a machine that has its power back is in sync',
    )
    if (!isClean && random.next() < 0.5) node = anyNode(cluster, random)
  }
  return names
}
