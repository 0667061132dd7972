/** The topics of log directories that another broker wrote are made known to a new coordination store (docs/handover.md). */
import { isNewStore, writeAdoptedTopics } from '../controller/adopt-topics.ts'
import { decideAdoption, type AdoptedTopic, type FoundPartition } from '../controller/decide/adopt-topics.ts'
import { startProducerIdsAbove } from '../controller/producer-id-blocks.ts'
import type { CoordinationSession } from '../env/coordination.ts'
import type { Logger } from '../env/env.ts'
import { LogDirError, toLogDirError } from '../log/log-dir-error.ts'
import type { ReplicaLog } from '../log/types.ts'
import { ZERO_UUID } from '../protocol/schema.ts'
import type { Parts } from './broker-parts.ts'

/**
 * What settings a topic had is not known: retention by the broker's own could delete what was to be kept. It is the
 * administrator who says otherwise (docs/handover.md).
 */
const KEEP_ALL = { 'retention.ms': '-1', 'retention.bytes': '-1' }

/**
 * Between the loading of the logs and the first election. Rejects with CoordinationError, and with LogDirError where a
 * directory is offline: what lies there would not be adopted now, and never later.
 */
export async function adoptLogDirs(
  parts: Parts,
  session: CoordinationSession,
  logger: Logger,
): Promise<void> {
  const { logs, topicConfigs, internalTopic } = parts
  const { brokerId } = parts.services
  const found = [...logs.all()]
  if (found.length === 0 || !(await isNewStore(session))) return
  const offline = logs.logDirectories().find(({ online }) => !online)
  if (offline !== undefined) {
    const message = `${offline.path} is offline: the topics of log.dirs, which are not known yet, cannot all be found`
    throw new LogDirError('IO', offline.path, message)
  }
  const { topics, refused } = decideAdoption(
    found.map(describe),
    (name) => internalTopic(name)?.partitions ?? 0,
  )
  for (const { name, reason } of refused)
    logger.log('warn', 'a topic of the log directories is not adopted', { topic: name, reason })
  for (const topic of topics) reportGaps(topic, logger)
  await startProducerIdsAbove(session, brokerId, highestProducerId(found))
  await writeAdoptedTopics(session, brokerId, topics, (name) => internalTopic(name)?.configs ?? KEEP_ALL)
  const names = new Set(topics.map(({ name }) => name))
  await topicConfigs.load(names)
  const adopted = found.filter(({ topic }) => names.has(topic))
  for (const log of adopted) log.config = topicConfigs.logConfig(log.topic)
  for (const { path } of logs.logDirectories()) {
    const here = adopted.filter(({ logDirectory }) => logDirectory === path)
    const count = new Set(here.map(({ topic }) => topic)).size
    logger.log('info', 'the topics of a log directory are adopted', {
      path,
      topics: count,
      partitions: here.length,
    })
  }
}

function highestProducerId(logs: readonly ReplicaLog[]): number {
  let highest = -1
  for (const log of logs) {
    try {
      highest = Math.max(highest, log.highestProducerId())
    } catch (error) {
      throw toLogDirError(error, log.logDirectory)
    }
  }
  return highest
}

function describe(log: ReplicaLog): FoundPartition {
  return {
    topic: log.topic,
    partition: log.partition,
    topicId: log.topicId === ZERO_UUID ? null : log.topicId,
    latestLeaderEpoch: log.latestLeaderEpoch,
    isEmpty: log.logEndOffset === 0,
  }
}

function reportGaps({ name, partitionCount, latestLeaderEpochs }: AdoptedTopic, logger: Logger): void {
  const missing = [...latestLeaderEpochs.keys()].filter((index) => latestLeaderEpochs[index] === undefined)
  if (missing.length === 0) return
  logger.log('warn', 'partitions of a topic have no directory and are made empty', {
    topic: name,
    partitions: partitionCount,
    missing: missing.slice(0, 20).join(' ') + (missing.length > 20 ? ` and ${missing.length - 20} more` : ''),
  })
}
