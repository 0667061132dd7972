/**
 * WriteTxnMarkers 0-1: a coordinator of transactions ends them in the partitions that this broker leads; an administrator
 * aborts one that hangs (kafka-transactions). v1 is flexible. Answered when all markers are committed, or are not in
 * request.timeout.ms.
 */
import type {
  WriteTxnMarkersRequest,
  WriteTxnMarkersResponse,
} from '../../protocol/messages/27-write-txn-markers.ts'
import type { Services } from '../services.ts'

export function handleWriteTxnMarkers(
  services: Services,
  request: WriteTxnMarkersRequest,
): Promise<WriteTxnMarkersResponse> {
  return services.txnMarkers.write(request.markers)
}
