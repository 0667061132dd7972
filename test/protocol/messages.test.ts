import { deepStrictEqual } from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codec } from '../../src/protocol/compile.ts'
import { apiByKey, apis } from '../../src/protocol/messages/index.ts'
import { Reader } from '../../src/protocol/reader.ts'
import type { Schema } from '../../src/protocol/schema.ts'
import { Writer } from '../../src/protocol/writer.ts'
import { restricted, valueOf } from './arbitrary.ts'

const RUNS_PER_VERSION = 15

function roundTrip(schema: Schema, version: number): void {
  const property = fc.property(valueOf(schema.fields, version), (value) => {
    const writer = new Writer()
    codec(schema, version).encode(writer, value as never)
    const size = writer.length
    const wire = Buffer.concat(writer.finish())
    expect(wire.length).toBe(size)
    const reader = new Reader(wire)
    const decoded = codec(schema, version).decode(reader)
    expect(reader.remaining).toBe(0)
    deepStrictEqual(decoded, restricted(schema.fields, value, version))
  })
  fc.assert(property, { numRuns: RUNS_PER_VERSION })
}

describe('what is encoded comes back from the wire', () => {
  for (const api of apis) {
    const [min, max] = api.versions
    test(`${api.name} ${min} to ${max}`, () => {
      for (let version = min; version <= max; version++) {
        roundTrip(api.request, version)
        roundTrip(api.response, version)
      }
    })
  }
})

describe('the table of APIs', () => {
  test('has each key once, in ascending order', () => {
    const keys = apis.map((api) => api.key)
    expect(keys).toEqual([...new Set(keys)].sort((a, b) => a - b))
    expect(apiByKey.size).toBe(apis.length)
  })

  test('names each file after its key and its API', () => {
    const files = readdirSync(new URL('../../src/protocol/messages', import.meta.url)).sort()
    const expected = apis.map(({ key, name }) => {
      const kebab = name.replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase()
      return `${String(key).padStart(2, '0')}-${kebab}.ts`
    })
    expect(files).toEqual([...expected, 'index.ts'].sort())
  })

  test('has the ranges of Kafka 3.9, and of transactions of version 2, from the oldest version of this broker', () => {
    const ranges = apis.map(
      ({ name, versions, flexibleFrom }) => `${name} ${versions.join('-')} ${flexibleFrom}`,
    )
    expect(ranges).toEqual([
      'Produce 0-12 9',
      'Fetch 0-17 12',
      'ListOffsets 0-9 6',
      'Metadata 0-12 9',
      'LeaderAndIsr 0-7 4',
      'StopReplica 0-4 2',
      'UpdateMetadata 0-8 6',
      'ControlledShutdown 0-3 3',
      'OffsetCommit 1-9 8',
      'OffsetFetch 1-9 6',
      'FindCoordinator 0-6 3',
      'JoinGroup 0-9 6',
      'Heartbeat 0-4 4',
      'LeaveGroup 0-5 4',
      'SyncGroup 0-5 4',
      'DescribeGroups 0-5 5',
      'ListGroups 0-5 3',
      'ApiVersions 0-4 3',
      'CreateTopics 0-7 5',
      'DeleteTopics 0-6 4',
      'DeleteRecords 0-2 2',
      'InitProducerId 0-5 2',
      'OffsetForLeaderEpoch 0-4 4',
      'AddPartitionsToTxn 0-5 3',
      'AddOffsetsToTxn 0-4 3',
      'EndTxn 0-5 3',
      'WriteTxnMarkers 0-1 1',
      'TxnOffsetCommit 0-5 3',
      'DescribeConfigs 0-4 4',
      'AlterConfigs 0-2 2',
      'AlterReplicaLogDirs 0-2 2',
      'DescribeLogDirs 0-4 2',
      'CreatePartitions 0-3 2',
      'DeleteGroups 0-2 2',
      'ElectLeaders 0-2 2',
      'IncrementalAlterConfigs 0-1 1',
      'AlterPartitionReassignments 0-0 0',
      'ListPartitionReassignments 0-0 0',
      'OffsetDelete 0-0 null',
      'AlterPartition 0-3 0',
      'DescribeCluster 0-1 0',
      'DescribeProducers 0-0 0',
      'DescribeTransactions 0-0 0',
      'ListTransactions 0-1 0',
      'AllocateProducerIds 0-0 0',
      // Of Kafka 4.1.
      'ConsumerGroupHeartbeat 0-1 0',
      'ConsumerGroupDescribe 0-1 0',
      'ListConfigResources 0-1 0',
    ])
  })
})
