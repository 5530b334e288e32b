/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/channel.h"

#include "broker/support/percent.h"
#include "protocols/http/query.h"
#include "protocols/rest/batch.h"
#include "protocols/rest/deletion.h"
#include "protocols/rest/get.h"
#include "protocols/rest/publish.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"
#include "protocols/rest/selectors.h"

/* The rest of the path, or, where that is empty, the query's `channel`: a name with empty segments
 * has no other way in. */
static enum error_code decode_name(struct request *request, bool *ret_is_of_query,
                                   struct error *why) {
    struct span rest = request->path;
    size_t prefix_length = sizeof("/channels/") - 1;
    bool is_found = false;
    rest = span_of(rest.bytes + prefix_length, rest.length - prefix_length);
    *ret_is_of_query = rest.length == 0;
    enum error_code code =
        rest.length == 0 ? query_find(request->query, "channel", &request->channel, &is_found, why)
                         : percent_put_decoded(&request->channel, rest, PERCENT_PATH);
    if (code == ERR_BAD_REQUEST || (code == OK && rest.length == 0 && !is_found)) {
        return error_set_field(why, ERR_BAD_CHANNEL, "channel",
                               rest.length == 0 && code == OK
                                   ? "the channel's name is the rest of the path"
                                   : "an escape in the name is no two hexadecimal digits");
    }
    return code;
}

enum error_code channel_admit(struct request *request, struct error *why) {
    bool is_of_query = false;
    enum error_code code = decode_name(request, &is_of_query, why);
    if (code != OK) {
        return code;
    }
    /* A second `channel` would be passed over in silence: nobody publishes to one of two. */
    size_t count = selectors_count_of_query(request->query);
    if (!is_of_query && count > 0) {
        return error_set_field(why, ERR_BAD_REQUEST, "channel", "the path names a channel already");
    }
    if ((request->method_bit & (METHOD_POST | METHOD_DELETE)) == 0) {
        return get_admit_channel(request, is_of_query, why);
    }
    if (count > 1) {
        return error_set_field(why, ERR_BAD_REQUEST, "channel",
                               "one channel is changed here; POST /publish takes several");
    }
    code = batch_check_channel(buffer_borrow(&request->channel), is_of_query, why);
    if (code != OK) {
        return code;
    }
    return request->method_bit == METHOD_POST ? publish_admit(request, why)
                                              : deletion_admit(request, why);
}

void channel_handle(struct request *request) {
    if (request->method_bit == METHOD_POST) {
        publish_handle(request);
    } else if (request->method_bit == METHOD_DELETE) {
        deletion_handle(request);
    } else {
        get_handle(request);
    }
}
