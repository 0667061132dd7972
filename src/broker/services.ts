/** What a request handler may use. `Broker` (broker.ts) builds one; handlers get it as their first argument. */
import type { Env } from '../env/env.ts'
import type { LogManager } from '../log/types.ts'
import type { GroupCoordinator } from '../coordinator/groups/group-coordinator.ts'
import type { TransactionCoordinator } from '../coordinator/transactions/transaction-coordinator.ts'
import type { ReplicationQuota } from '../replication/replication-quota.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import type { ControlPlane } from './control-plane.ts'
import type { ConfigAdmin } from './config/config-admin.ts'
import type { MessageConversions } from './message-conversions.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { Controller } from '../controller/controller.ts'
import type { TopicAdmin } from '../controller/topic-admin.ts'
import type { FetchSessionCache } from './fetch-sessions.ts'
import type { ConnectionOrder } from './connection-order.ts'
import type { ProducerIds } from './producer-ids.ts'
import type { TxnMarkers } from './txn-markers.ts'
import type { TransactionVersion } from './transaction-version.ts'
import type { TxnVerification } from './txn-verification.ts'

export interface Services {
  readonly env: Env
  readonly brokerId: number
  readonly clusterId: string
  /** No other broker uses the coordination store. */
  readonly isAlone: boolean
  /** Static and dynamic broker settings, typed by key. */
  readonly config: BrokerConfig
  /** DescribeConfigs, AlterConfigs, IncrementalAlterConfigs. */
  readonly configAdmin: ConfigAdmin
  readonly metadata: MetadataCache
  /** Creating and deleting topics, adding partitions. */
  readonly topics: TopicAdmin
  /** What the controller of the cluster says. */
  readonly controlPlane: ControlPlane
  /** What its APIs ask is answered NOT_CONTROLLER where this broker is not the controller. */
  readonly controller: Controller
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  /** Of what throttled followers get. */
  readonly leaderQuota: ReplicationQuota
  readonly groups: GroupCoordinator
  readonly transactions: TransactionCoordinator
  /** Ends transactions in the partitions that this broker leads. */
  readonly txnMarkers: TxnMarkers
  /** Asks the coordinators of transactions whether these include a partition. */
  readonly txnVerification: TxnVerification
  /** What the cluster has its clients' transactions go by. */
  readonly transactionVersion: TransactionVersion
  readonly connectionOrder: ConnectionOrder
  readonly producerIds: ProducerIds
  readonly fetchSessions: FetchSessionCache
  readonly conversions: MessageConversions
  /** What ApiVersions tells, computed from the api-table. */
  readonly advertisedApis: readonly { apiKey: number; minVersion: number; maxVersion: number }[]
}

export interface RequestContext {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  /** As Kafka prints it: "/127.0.0.1". */
  readonly clientHost: string
  readonly listenerName: string
  readonly connectionId: number
  /** The callbacks run once, when the reply's bytes have left (or the connection is gone). */
  whenSent(callbacks: readonly (() => void)[]): void
  /** Runs `listener` when the client has gone and waiting for it makes no sense; the function returned takes that back. */
  onClose(listener: () => void): () => void
}

/**
 * A handler is a plain function. All that fixes an order (an append, a sequence check) happens before its first promise,
 * and it keeps no slice of the request (`records`) after it has returned. `null`: no reply is sent (Produce acks=0).
 */
export type Handler<Request, Response> = (
  services: Services,
  request: Request,
  context: RequestContext,
) => Response | null | Promise<Response | null>

/** A handler throws it where Kafka closes the connection instead of answering. The message is the log line. */
export class CloseConnection extends Error {}
