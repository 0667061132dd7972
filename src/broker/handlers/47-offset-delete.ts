/**
 * OffsetDelete 0: removes committed offsets of an empty group, or of a live consumer group for topics that it does not
 * subscribe to (KIP-496).
 */
import type { OffsetDeleteRequest, OffsetDeleteResponse } from '../../protocol/messages/47-offset-delete.ts'
import type { Handler } from '../services.ts'

export const handleOffsetDelete: Handler<OffsetDeleteRequest, OffsetDeleteResponse> = (services, request) =>
  services.groups.offsetDelete(request)
