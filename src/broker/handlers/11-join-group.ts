/**
 * JoinGroup 0-9: a member joins a group, or joins it again; the reply comes when the generation begins. v0 has no rebalance
 * timeout (the session timeout stands for it), from v4 on newcomers are told their id first (KIP-394), v5 has static
 * members (KIP-345), v7 may answer without a protocol name, from v9 on a returning static leader is told to skip the
 * assignment (KIP-814).
 */
import type { JoinGroupRequest, JoinGroupResponse } from '../../protocol/messages/11-join-group.ts'
import type { Handler } from '../services.ts'

export const handleJoinGroup: Handler<JoinGroupRequest, JoinGroupResponse> = (services, request, context) =>
  services.groups.joinGroup(request, context)
