/** Errors that end a client for ever though nothing is wrong: whoever runs it starts it again. */
import { brokerKind } from '../harness/broker.ts'

/**
 * What the Java client says of UNRELEASED_INSTANCE_ID: its predecessor could not say that it leaves, and its session has not
 * ended yet. And of what Apache Kafka 4.1 says to the first member of the consumer protocol in a classic group whose first
 * rebalance is on (ConsumerGroup.fromClassicGroup asks for a protocol that there is not yet).
 */
const NOT_YET = brokerKind === 'kafka' ? /UnreleasedInstanceId|UnknownServer/ : /UnreleasedInstanceId/

const FENCED = /FencedInstanceId|FENCED_INSTANCE_ID/

/**
 * librdkafka (2.0.2, and 2.14 still: its issue 3437) forgets its member id when it has not heard of the coordinator for a
 * session timeout, and goes on sending heartbeats, with its instance id and without a member id, while the application is not
 * there to give back its partitions: here, because it waits for the answer to a commit. The instance has another member id then.
 */
const FENCED_AS_NOBODY = /^FENCED_INSTANCE_ID as ""$/

export interface FailedMember {
  /** Of the classic protocol. */
  readonly isClassic: boolean
  /** Whether the broker, or the coordinator, has been away since it was started. */
  readonly hasLostBroker: boolean
}

/**
 * A static member that comes back while a rebalance is on has a new member id, which is stored only with the assignment that
 * follows. If the coordinator dies before that, whoever is it next knows the member id of before alone, and fences the member,
 * which was told the new one. So do Apache Kafka 3.9 (GroupCoordinator.updateStaticMemberAndRebalance) and 4.1: see
 * fenced.test.ts. Members of the consumer protocol choose their ids themselves.
 */
export function comesAgain(reason: string, { isClassic, hasLostBroker }: FailedMember): boolean {
  if (NOT_YET.test(reason) || FENCED_AS_NOBODY.test(reason)) return true
  return FENCED.test(reason) && isClassic && hasLostBroker
}
