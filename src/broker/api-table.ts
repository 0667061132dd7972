/** The APIs that this broker serves: one row each. What ApiVersions announces and the README's table come from here. */
import { ErrorCode } from '../protocol/error-codes.ts'
import { apis } from '../protocol/messages/index.ts'
import type { AnyApi } from '../protocol/schema.ts'
import type { Handler } from './services.ts'
import { handleProduce } from './handlers/00-produce.ts'
import { handleFetch } from './handlers/01-fetch.ts'
import { handleListOffsets } from './handlers/02-list-offsets.ts'
import { handleMetadata } from './handlers/03-metadata.ts'
import { handleLeaderAndIsr } from './handlers/04-leader-and-isr.ts'
import { handleStopReplica } from './handlers/05-stop-replica.ts'
import { handleUpdateMetadata } from './handlers/06-update-metadata.ts'
import { handleControlledShutdown } from './handlers/07-controlled-shutdown.ts'
import { handleOffsetCommit } from './handlers/08-offset-commit.ts'
import { handleOffsetFetch } from './handlers/09-offset-fetch.ts'
import { handleFindCoordinator } from './handlers/10-find-coordinator.ts'
import { handleJoinGroup } from './handlers/11-join-group.ts'
import { handleHeartbeat } from './handlers/12-heartbeat.ts'
import { handleLeaveGroup } from './handlers/13-leave-group.ts'
import { handleSyncGroup } from './handlers/14-sync-group.ts'
import { handleDescribeGroups } from './handlers/15-describe-groups.ts'
import { handleListGroups } from './handlers/16-list-groups.ts'
import { handleApiVersions } from './handlers/18-api-versions.ts'
import { handleCreateTopics } from './handlers/19-create-topics.ts'
import { handleDeleteTopics } from './handlers/20-delete-topics.ts'
import { handleDeleteRecords } from './handlers/21-delete-records.ts'
import { handleInitProducerId } from './handlers/22-init-producer-id.ts'
import { handleOffsetForLeaderEpoch } from './handlers/23-offset-for-leader-epoch.ts'
import { handleAddPartitionsToTxn } from './handlers/24-add-partitions-to-txn.ts'
import { handleAddOffsetsToTxn } from './handlers/25-add-offsets-to-txn.ts'
import { handleEndTxn } from './handlers/26-end-txn.ts'
import { handleWriteTxnMarkers } from './handlers/27-write-txn-markers.ts'
import { handleTxnOffsetCommit } from './handlers/28-txn-offset-commit.ts'
import { handleDescribeConfigs } from './handlers/32-describe-configs.ts'
import { handleAlterConfigs } from './handlers/33-alter-configs.ts'
import { handleAlterReplicaLogDirs } from './handlers/34-alter-replica-log-dirs.ts'
import { handleDescribeLogDirs } from './handlers/35-describe-log-dirs.ts'
import { handleCreatePartitions } from './handlers/37-create-partitions.ts'
import { handleDeleteGroups } from './handlers/42-delete-groups.ts'
import { handleElectLeaders } from './handlers/43-elect-leaders.ts'
import { handleIncrementalAlterConfigs } from './handlers/44-incremental-alter-configs.ts'
import { handleAlterPartitionReassignments } from './handlers/45-alter-partition-reassignments.ts'
import { handleListPartitionReassignments } from './handlers/46-list-partition-reassignments.ts'
import { handleOffsetDelete } from './handlers/47-offset-delete.ts'
import { handleAlterPartition } from './handlers/56-alter-partition.ts'
import { handleDescribeCluster } from './handlers/60-describe-cluster.ts'
import { handleDescribeProducers } from './handlers/61-describe-producers.ts'
import { handleDescribeTransactions } from './handlers/65-describe-transactions.ts'
import { handleListTransactions } from './handlers/66-list-transactions.ts'
import { handleAllocateProducerIds } from './handlers/67-allocate-producer-ids.ts'
import { handleConsumerGroupHeartbeat } from './handlers/68-consumer-group-heartbeat.ts'
import { handleConsumerGroupDescribe } from './handlers/69-consumer-group-describe.ts'
import { handleListConfigResources } from './handlers/74-list-config-resources.ts'

// A row's handler fits its own API's messages; the table as a whole forgets which.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyHandler = Handler<any, any>

/** What only brokers ask of each other. One that shares its cluster with nobody has no broker that could ask. */
function amongBrokers(handle: AnyHandler): AnyHandler {
  return (services, request, context) => {
    return services.isAlone
      ? { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED }
      : handle(services, request, context)
  }
}

const handlers = new Map<number, AnyHandler>([
  [0, handleProduce],
  [1, handleFetch],
  [2, handleListOffsets],
  [3, handleMetadata],
  [4, amongBrokers(handleLeaderAndIsr)],
  [5, amongBrokers(handleStopReplica)],
  [6, amongBrokers(handleUpdateMetadata)],
  [7, amongBrokers(handleControlledShutdown)],
  [8, handleOffsetCommit],
  [9, handleOffsetFetch],
  [10, handleFindCoordinator],
  [11, handleJoinGroup],
  [12, handleHeartbeat],
  [13, handleLeaveGroup],
  [14, handleSyncGroup],
  [15, handleDescribeGroups],
  [16, handleListGroups],
  [18, handleApiVersions],
  [19, handleCreateTopics],
  [20, handleDeleteTopics],
  [21, handleDeleteRecords],
  [22, handleInitProducerId],
  [23, handleOffsetForLeaderEpoch],
  [24, handleAddPartitionsToTxn],
  [25, handleAddOffsetsToTxn],
  [26, handleEndTxn],
  [27, handleWriteTxnMarkers],
  [28, handleTxnOffsetCommit],
  [32, handleDescribeConfigs],
  [33, handleAlterConfigs],
  [34, handleAlterReplicaLogDirs],
  [35, handleDescribeLogDirs],
  [37, handleCreatePartitions],
  [42, handleDeleteGroups],
  [43, handleElectLeaders],
  [44, handleIncrementalAlterConfigs],
  [45, handleAlterPartitionReassignments],
  [46, handleListPartitionReassignments],
  [47, handleOffsetDelete],
  [56, amongBrokers(handleAlterPartition)],
  [60, handleDescribeCluster],
  [61, handleDescribeProducers],
  [65, handleDescribeTransactions],
  [66, handleListTransactions],
  [67, amongBrokers(handleAllocateProducerIds)],
  [68, handleConsumerGroupHeartbeat],
  [69, handleConsumerGroupDescribe],
  [74, handleListConfigResources],
])

export interface ApiRow {
  readonly api: AnyApi
  readonly handle: AnyHandler
}

export const apiTable: ReadonlyMap<number, ApiRow> = new Map(
  apis.flatMap((api) => {
    const handle = handlers.get(api.key)
    return handle ? [[api.key, { api, handle }] as const] : []
  }),
)

export const advertisedApis = [...apiTable.values()].map(({ api }) => ({
  apiKey: api.key,
  minVersion: api.versions[0],
  maxVersion: api.versions[1],
}))
