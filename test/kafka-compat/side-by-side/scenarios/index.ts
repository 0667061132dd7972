/** In the order in which they run, on both brokers: the listings of all topics and groups depend on it. */
import type { Scenario } from '../scenario.ts'
import { apiVersionsScenarios } from './api-versions.ts'
import { configScenarios } from './configs.ts'
import { electionAndMoveScenarios } from './elections-and-moves.ts'
import { groupScenarios } from './groups.ts'
import { logDirScenarios } from './log-dirs.ts'
import { metadataScenarios } from './metadata.ts'
import { oldFormatScenarios } from './old-formats.ts'
import { offsetScenarios } from './offsets.ts'
import { produceScenarios } from './produce.ts'
import { readingScenarios } from './reading.ts'
import { topicScenarios } from './topics.ts'
import { transactionScenarios } from './transactions.ts'
import { transactionCoordinatorScenarios } from './transaction-coordinator.ts'
import { transactionalOffsetScenarios } from './transactional-offsets.ts'

export const scenarios: readonly Scenario[] = [
  ...apiVersionsScenarios,
  ...metadataScenarios,
  ...topicScenarios,
  ...produceScenarios,
  ...readingScenarios,
  ...oldFormatScenarios,
  ...groupScenarios,
  ...offsetScenarios,
  ...configScenarios,
  ...logDirScenarios,
  ...electionAndMoveScenarios,
  ...transactionScenarios,
  ...transactionCoordinatorScenarios,
  ...transactionalOffsetScenarios,
]
