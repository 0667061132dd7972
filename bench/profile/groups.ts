/** What bench/groups measures, once, for a profile. */
import { startOdradek } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import { createTopic, untilCoordinated, withWire } from '../lab/wire.ts'
import { commitLoad } from '../groups/commits.ts'
import { formation } from '../groups/formation.ts'
import { writeOffsetLog } from '../groups/offset-log.ts'
import { LOGS, loadingSettings, placeLog, untilAnswered } from '../groups/loading.ts'

const MODES = ['classic', 'consumer', 'commits', 'load'] as const
type Mode = (typeof MODES)[number]

export const isOfGroups = (mode: string): mode is Mode => MODES.includes(mode as Mode)

const [LOG] = Object.values(LOGS)

/** Of a broker that has stopped: a million offsets. */
export async function loadingDirectory(directory: string): Promise<void> {
  const source = `${directory}-source`
  writeOffsetLog(source, LOG)
  await placeLog(() => startOdradek(directory, undefined, loadingSettings), directory, source)
}

/** `partitions`: of each commit. */
export async function driveGroups(
  broker: Broker,
  mode: Mode,
  { members, partitions }: { readonly members: number; readonly partitions: number },
): Promise<void> {
  const { port } = broker
  if (mode === 'load') return untilAnswered(broker, LOG)
  const topic = 'profiled'
  const groupId = 'group'
  await withWire(port, async (wire) => {
    await createTopic(wire, topic, 2 * members)
    await untilCoordinated(wire, groupId)
  })
  if (mode === 'commits') {
    const load = { port, groupId, topic, partitions, connections: 8, warmUpMs: 500, measureMs: 4000 }
    console.log(await commitLoad(load))
  } else {
    const shape = { groupId, topic, partitions: 2 * members, heartbeatMs: Math.max(1, members / 10) }
    console.log(await formation({ ...shape, port, protocol: mode, members, oneMore: true }))
  }
}
