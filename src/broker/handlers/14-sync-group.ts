/**
 * SyncGroup 0-5: the leader brings the assignments of a generation, every member is given its own; the reply waits for the
 * leader. v3 has static members (KIP-345), from v5 on the protocol must be named and fit (KIP-559).
 */
import type { SyncGroupRequest, SyncGroupResponse } from '../../protocol/messages/14-sync-group.ts'
import type { Handler } from '../services.ts'

export const handleSyncGroup: Handler<SyncGroupRequest, SyncGroupResponse> = (services, request, context) =>
  services.groups.syncGroup(request, context)
