/**
 * ListGroups 0-5: the groups that this broker coordinates. v4 filters by state (KIP-518), v5 by type (KIP-848):
 * `classic` or `consumer`.
 */
import type { ListGroupsRequest, ListGroupsResponse } from '../../protocol/messages/16-list-groups.ts'
import type { Handler } from '../services.ts'

export const handleListGroups: Handler<ListGroupsRequest, ListGroupsResponse> = (services, request) =>
  services.groups.listGroups(request.statesFilter, request.typesFilter)
