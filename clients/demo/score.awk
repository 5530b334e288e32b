# SPDX-License-Identifier: Apache-2.0
# Plays a match from the order of its points alone: reads match.txt, and writes for each point the
# seconds to wait before it, what it ended (point, game, set, match) and the message, tab-separated.
#
# Variables: speed (times faster than it was played), every (seconds between two points, or empty),
#            from (the first point to write; the score counts from point 1 all the same).
# Rules: a game is won by two from four points on, a set by two from six games on; at six games all
# a tie-break to seven, won by two, decides, but not in the fifth set (as it was in 2012).

BEGIN { split("0 15 30 40", called, " ") }

/^#/ || NF == 0 { next }

{
    number++
    server = $2; winner = $3; loser = 3 - winner
    ended = "point"
    points[winner]++
    needed = tie_break ? 7 : 4
    if (points[winner] >= needed && points[winner] - points[loser] >= 2) { win_game() }
    if (number >= from) {
        printf "%.3f\t%s\t%s\n", wait(), ended, message()
        before = $1; begun = 1
    }
}

function win_game() {
    ended = "game"
    games[winner]++
    points[1] = points[2] = 0
    if (tie_break || games[winner] >= 6 && games[winner] - games[loser] >= 2) { win_set() }
    tie_break = games[1] == 6 && games[2] == 6 && set_count < 4
}

function win_set() {
    ended = "set"
    sets = sets (set_count++ ? "," : "") "[" games[1] "," games[2] "]"
    games[1] = games[2] = 0
    if (++sets_won[winner] == 3) { ended = "match" }
}

function wait() {
    if (!begun) { return 0 }
    return every != "" ? every : ($1 - before) / speed
}

function points_text(mine, other) {
    if (tie_break) { return mine + 0 }
    if (mine > 3 && mine > other) { return "AD" }
    return called[(mine > 3 ? 3 : mine) + 1]
}

function message() {
    return sprintf("{\"players\":[\"N. Djokovic\",\"R. Nadal\"],\"sets\":[%s],\"games\":[%d,%d]," \
        "\"points\":[\"%s\",\"%s\"],\"server\":%d,\"winner\":%d,\"speed_kmh\":%s,\"point\":%d," \
        "\"elapsed\":\"%d:%02d:%02d\"%s}", sets, games[1], games[2],
        points_text(points[1], points[2]), points_text(points[2], points[1]), server, winner,
        $4 ? $4 : "null", number, $1 / 3600, $1 % 3600 / 60, $1 % 60,
        ended == "match" ? ",\"match_winner\":" winner : "")
}
