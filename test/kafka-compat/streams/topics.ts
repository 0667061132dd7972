import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { eventually, pause } from '../harness/conditions.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { kcatRead } from '../harness/kcat.ts'
import type { KcatRecord } from '../harness/kcat.ts'

/** Runs with an admin client of its own. */
export async function asAdmin<T>(bootstrap: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkajsClient(bootstrap, { retry: patient }).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

export async function createTopics(
  bootstrap: string,
  topics: { topic: string; numPartitions: number }[],
): Promise<void> {
  await asAdmin(bootstrap, (admin) => admin.createTopics({ topics, waitForLeaders: true }))
}

/** What was committed, in each partition's order. */
export function committed(bootstrap: string, topic: string): Promise<KcatRecord[]> {
  return kcatRead(bootstrap, topic, ['-X', 'isolation.level=read_committed'])
}

/** The last value of each key, which is what a table of the topic holds. */
export function tableOf(records: readonly KcatRecord[]): Map<string, string> {
  return new Map(records.map(({ key, payload }) => [key!, payload!]))
}

/** The sum of the partitions' end offsets: it grows as long as somebody writes. */
export async function endOffsets(bootstrap: string, topic: string): Promise<number> {
  const offsets = await asAdmin(bootstrap, (admin) => admin.fetchTopicOffsets(topic))
  return offsets.reduce((sum, { high }) => sum + Number(high), 0)
}

/** The first offset of each partition that is not empty from the start: above 0 where records were deleted. */
export async function startOffsets(bootstrap: string, topic: string): Promise<number[]> {
  const offsets = await asAdmin(bootstrap, (admin) => admin.fetchTopicOffsets(topic))
  return offsets.filter(({ high }) => Number(high) > 0).map(({ low }) => Number(low))
}

/** The settings that stand at the topic itself. */
export async function settingsOf(bootstrap: string, topic: string): Promise<Record<string, string>> {
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }
  const request = { resources: [resource], includeSynonyms: false }
  const { resources } = await asAdmin(bootstrap, (admin) => admin.describeConfigs(request))
  const TOPIC_CONFIG = 1
  const own = resources[0].configEntries.filter((entry) => Number(entry.configSource) === TOPIC_CONFIG)
  return Object.fromEntries(own.map(({ configName, configValue }) => [configName, configValue]))
}

/** Waits as long as Java processes on a busy machine may take, and looks seldom, for each look takes of their time. */
export function inGoodTime<T>(what: string, condition: () => T | Promise<T>): Promise<NonNullable<T>> {
  const seldom = async (): Promise<T> => {
    await pause(250)
    return condition()
  }
  return eventually(what, seldom, 180_000)
}
