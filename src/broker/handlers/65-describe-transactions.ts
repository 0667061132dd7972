/** DescribeTransactions 0 (KIP-664): of transactional ids that this broker coordinates. */
import type {
  DescribeTransactionsRequest,
  DescribeTransactionsResponse,
} from '../../protocol/messages/65-describe-transactions.ts'
import { withoutTooManyRepeats } from '../mentions.ts'
import type { Handler } from '../services.ts'

export const handleDescribeTransactions: Handler<
  DescribeTransactionsRequest,
  DescribeTransactionsResponse
> = ({ transactions }, { transactionalIds }) => ({
  transactionStates: withoutTooManyRepeats(transactionalIds).map((transactionalId) =>
    transactions.describe(transactionalId),
  ),
})
