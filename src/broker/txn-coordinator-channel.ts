/**
 * This broker's way to the coordinators of transactions, as the leader of partitions that transactions write to (KIP-890): a
 * function call to its own, AddPartitionsToTxn 4 or 5 to another broker, one request at a time to each, for all that ask
 * meanwhile.
 */
import { andThen, type Later } from '../coordinator/later.ts'
import { NetworkError } from '../env/network.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import {
  addPartitionsToTxnApi,
  type AddPartitionsToTxnResponse,
} from '../protocol/messages/24-add-partitions-to-txn.ts'
import { Peer, type PeerAddress, type PeerEnv } from '../server/peer.ts'
import type { Addition } from './add-partitions-to-txn.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { TRANSACTIONS_TOPIC } from './topic-names.ts'

export type TransactionAsked = Addition
export type TopicResults = NonNullable<AddPartitionsToTxnResponse['resultsByTopicV3AndBelow']>

/** Of all partitions, or of each. */
export type CoordinatorAnswer =
  | { readonly error: number }
  | { readonly topics: TopicResults }
  /** It cannot be asked: it is older than this. */
  | 'unsupported'

/** The coordinator of this process. */
export interface LocalCoordinator {
  partitionFor(transactionalId: string): number
  ask(transaction: TransactionAsked): Later<TopicResults>
}

export interface TxnCoordinatorChannelOptions {
  readonly env: PeerEnv
  readonly brokerId: number
  readonly metadata: Pick<MetadataCache, 'partition' | 'broker'>
  /** null: there is none yet. */
  readonly local: LocalCoordinator | null
  /** Where brokers take requests of brokers. */
  readonly listenerName: string
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
}

/** Up to version 3 clients ask, of one transaction. */
const FIRST_VERSION_OF_BROKERS = 4
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024
/** Of one coordinator. Beyond these an answer would come too late anyway. */
export const MAX_WAITING = 10_000

interface Question {
  readonly transaction: TransactionAsked
  readonly answer: (answer: CoordinatorAnswer) => void
}

interface Remote {
  readonly address: PeerAddress
  readonly peer: Peer
  waiting: Question[]
  isAsking: boolean
}

export class TxnCoordinatorChannel {
  readonly #options: TxnCoordinatorChannelOptions
  readonly #remotes = new Map<number, Remote>()
  #stopped = false

  constructor(options: TxnCoordinatorChannelOptions) {
    this.#options = options
  }

  /** Never rejects: NETWORK_EXCEPTION, where the coordinator does not answer. */
  ask(transaction: TransactionAsked): Later<CoordinatorAnswer> {
    const { metadata, local, brokerId, listenerName } = this.#options
    if (local === null) return { error: ErrorCode.COORDINATOR_NOT_AVAILABLE }
    const index = local.partitionFor(transaction.transactionalId)
    const leader = metadata.partition(TRANSACTIONS_TOPIC, index)?.leader ?? -1
    if (leader === brokerId) return askHere(local, transaction)
    const address = metadata.broker(leader)?.endpoints.get(listenerName)
    if (address === undefined || this.#stopped) return { error: ErrorCode.COORDINATOR_NOT_AVAILABLE }
    const remote = this.#remoteAt(leader, address)
    if (remote.waiting.length >= MAX_WAITING) return { error: ErrorCode.NETWORK_EXCEPTION }
    return new Promise((answer) => {
      remote.waiting.push({ transaction, answer })
      void this.#askAll(remote)
    })
  }

  #remoteAt(brokerId: number, address: PeerAddress): Remote {
    const known = this.#remotes.get(brokerId)
    if (known?.address.host === address.host && known.address.port === address.port) return known
    known?.peer.close()
    const { env, requestTimeoutMs, connectTimeoutMs } = this.#options
    const peer = new Peer(env, address, {
      clientId: String(this.#options.brokerId),
      requestTimeoutMs,
      connectTimeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    })
    const remote: Remote = { address, peer, waiting: [], isAsking: false }
    this.#remotes.set(brokerId, remote)
    return remote
  }

  async #askAll(remote: Remote): Promise<void> {
    if (remote.isAsking) return
    remote.isAsking = true
    while (remote.waiting.length > 0) await this.#askOnce(remote, takeQuestions(remote))
    remote.isAsking = false
  }

  async #askOnce({ peer }: Remote, questions: readonly Question[]): Promise<void> {
    try {
      const version = await peer.commonVersion(addPartitionsToTxnApi, FIRST_VERSION_OF_BROKERS)
      if (version < 0) return answerAll(questions, 'unsupported')
      const transactions = questions.map(({ transaction }) => transaction)
      const { errorCode, resultsByTransaction } = await peer.call(addPartitionsToTxnApi, version, {
        transactions,
      })
      if (errorCode !== ErrorCode.NONE) return answerAll(questions, { error: errorCode })
      for (const { transaction, answer } of questions) {
        const found = resultsByTransaction.find(
          ({ transactionalId }) => transactionalId === transaction.transactionalId,
        )
        answer(found === undefined ? { error: ErrorCode.NETWORK_EXCEPTION } : { topics: found.topicResults })
      }
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      answerAll(questions, { error: ErrorCode.NETWORK_EXCEPTION })
    }
  }

  /** For good: what is under way is answered. */
  stop(): void {
    this.#stopped = true
    for (const { peer } of this.#remotes.values()) peer.close()
  }
}

function askHere(local: LocalCoordinator, transaction: TransactionAsked): Later<CoordinatorAnswer> {
  return andThen(local.ask(transaction), (topics) => ({ topics }))
}

function answerAll(questions: readonly Question[], answer: CoordinatorAnswer): void {
  for (const question of questions) question.answer(answer)
}

/** A request names a transaction once: who asks of the same one again waits for the next. */
function takeQuestions(remote: Remote): Question[] {
  const taken = new Map<string, Question>()
  const left: Question[] = []
  for (const question of remote.waiting) {
    const { transactionalId } = question.transaction
    if (taken.has(transactionalId)) left.push(question)
    else taken.set(transactionalId, question)
  }
  remote.waiting = left
  return [...taken.values()]
}
