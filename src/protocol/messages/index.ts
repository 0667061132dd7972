/** Every API that is declared, in the order of the keys. */
import type { AnyApi } from '../schema.ts'
import { produceApi } from './00-produce.ts'
import { fetchApi } from './01-fetch.ts'
import { listOffsetsApi } from './02-list-offsets.ts'
import { metadataApi } from './03-metadata.ts'
import { leaderAndIsrApi } from './04-leader-and-isr.ts'
import { stopReplicaApi } from './05-stop-replica.ts'
import { updateMetadataApi } from './06-update-metadata.ts'
import { controlledShutdownApi } from './07-controlled-shutdown.ts'
import { offsetCommitApi } from './08-offset-commit.ts'
import { offsetFetchApi } from './09-offset-fetch.ts'
import { findCoordinatorApi } from './10-find-coordinator.ts'
import { joinGroupApi } from './11-join-group.ts'
import { heartbeatApi } from './12-heartbeat.ts'
import { leaveGroupApi } from './13-leave-group.ts'
import { syncGroupApi } from './14-sync-group.ts'
import { describeGroupsApi } from './15-describe-groups.ts'
import { listGroupsApi } from './16-list-groups.ts'
import { apiVersionsApi } from './18-api-versions.ts'
import { createTopicsApi } from './19-create-topics.ts'
import { deleteTopicsApi } from './20-delete-topics.ts'
import { deleteRecordsApi } from './21-delete-records.ts'
import { initProducerIdApi } from './22-init-producer-id.ts'
import { offsetForLeaderEpochApi } from './23-offset-for-leader-epoch.ts'
import { addPartitionsToTxnApi } from './24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from './25-add-offsets-to-txn.ts'
import { endTxnApi } from './26-end-txn.ts'
import { writeTxnMarkersApi } from './27-write-txn-markers.ts'
import { txnOffsetCommitApi } from './28-txn-offset-commit.ts'
import { describeConfigsApi } from './32-describe-configs.ts'
import { alterConfigsApi } from './33-alter-configs.ts'
import { alterReplicaLogDirsApi } from './34-alter-replica-log-dirs.ts'
import { describeLogDirsApi } from './35-describe-log-dirs.ts'
import { createPartitionsApi } from './37-create-partitions.ts'
import { deleteGroupsApi } from './42-delete-groups.ts'
import { electLeadersApi } from './43-elect-leaders.ts'
import { incrementalAlterConfigsApi } from './44-incremental-alter-configs.ts'
import { alterPartitionReassignmentsApi } from './45-alter-partition-reassignments.ts'
import { listPartitionReassignmentsApi } from './46-list-partition-reassignments.ts'
import { offsetDeleteApi } from './47-offset-delete.ts'
import { alterPartitionApi } from './56-alter-partition.ts'
import { describeClusterApi } from './60-describe-cluster.ts'
import { describeProducersApi } from './61-describe-producers.ts'
import { describeTransactionsApi } from './65-describe-transactions.ts'
import { listTransactionsApi } from './66-list-transactions.ts'
import { allocateProducerIdsApi } from './67-allocate-producer-ids.ts'
import { consumerGroupHeartbeatApi } from './68-consumer-group-heartbeat.ts'
import { consumerGroupDescribeApi } from './69-consumer-group-describe.ts'
import { listConfigResourcesApi } from './74-list-config-resources.ts'

export const apis: readonly AnyApi[] = [
  produceApi,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  leaderAndIsrApi,
  stopReplicaApi,
  updateMetadataApi,
  controlledShutdownApi,
  offsetCommitApi,
  offsetFetchApi,
  findCoordinatorApi,
  joinGroupApi,
  heartbeatApi,
  leaveGroupApi,
  syncGroupApi,
  describeGroupsApi,
  listGroupsApi,
  apiVersionsApi,
  createTopicsApi,
  deleteTopicsApi,
  deleteRecordsApi,
  initProducerIdApi,
  offsetForLeaderEpochApi,
  addPartitionsToTxnApi,
  addOffsetsToTxnApi,
  endTxnApi,
  writeTxnMarkersApi,
  txnOffsetCommitApi,
  describeConfigsApi,
  alterConfigsApi,
  alterReplicaLogDirsApi,
  describeLogDirsApi,
  createPartitionsApi,
  deleteGroupsApi,
  electLeadersApi,
  incrementalAlterConfigsApi,
  alterPartitionReassignmentsApi,
  listPartitionReassignmentsApi,
  offsetDeleteApi,
  alterPartitionApi,
  describeClusterApi,
  describeProducersApi,
  describeTransactionsApi,
  listTransactionsApi,
  allocateProducerIdsApi,
  consumerGroupHeartbeatApi,
  consumerGroupDescribeApi,
  listConfigResourcesApi,
]

export const apiByKey: ReadonlyMap<number, AnyApi> = new Map(apis.map((api) => [api.key, api]))
