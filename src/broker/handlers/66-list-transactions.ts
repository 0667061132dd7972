/** ListTransactions 0-1: the transactional ids that this broker coordinates (KIP-664). v1 filters by duration (KIP-994). */
import type {
  ListTransactionsRequest,
  ListTransactionsResponse,
} from '../../protocol/messages/66-list-transactions.ts'
import type { Handler } from '../services.ts'

export const handleListTransactions: Handler<ListTransactionsRequest, ListTransactionsResponse> = (
  { transactions },
  filters,
) => transactions.list(filters)
