# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Out of what the benchmarks leave in build/bench/, the rows of one section's table and picture: what it is, ours, the
# peer's, ours as times the peer's (median), its least and most, and the goal; "-" where there is none. tests/bench/page
# calls it with the section's name.

def median: sort | .[(length - 1) / 2 | floor];
def times($a; $b): [range([($a | length), ($b | length)] | min) | $a[.] / $b[.]];
def pair($name; $a; $b; $goal):
  times($a; $b) as $t
  | [$name, ($a | median), ($b | median), ($t | median), ($t | min), ($t | max), $goal];

def rings: .cases[] | pair(.case + " / " + .peer; .ours_rounds; .theirs_rounds; .goal);

# Of rates, by how they are waited for.
def disk:
  { tmpfs: { blocking: 6, polls: 2.5, queues: 5.5, depth1: 2, shared: 2, writes: 6 },
    cache: { blocking: 2.4, polls: 2.2, queues: 2.4, depth1: 1.8, shared: 1.8, writes: 1 },
    direct: { blocking: 1, polls: 1, queues: 1, writes: 1 } } as $goal
  | { blocking: "depth 32", polls: "depth 32, driver polls", queues: "4 queues, depth 32",
      depth1: "depth 1, a processor each", shared: "depth 1, one processor", writes: "writes, depth 32" } as $load
  | { tmpfs: "memory", cache: "page cache", direct: "O_DIRECT" } as $medium
  | .cells[] | [$medium[.medium] + ": " + $load[.load], .requests_per_second, .peer_requests_per_second, .times,
    .least, .most, $goal[.medium][.load]];

def disk_cpu:
  { tmpfs: { blocking: 0.125, writes: 0.125 }, cache: { blocking: 0.4 },
    direct: { blocking: 0.7, polls: 0.7, queues: 0.6, depth1: 0.8, shared: 0.8, writes: 0.8 } } as $goal
  | { blocking: "depth 32", polls: "depth 32, driver polls", queues: "4 queues, depth 32",
      depth1: "depth 1, a processor each", shared: "depth 1, one processor", writes: "writes, depth 32" } as $load
  | { tmpfs: "memory", cache: "page cache", direct: "O_DIRECT" } as $medium
  | .cells[] | [$medium[.medium] + ": " + $load[.load], .cpu_ns, .peer_cpu_ns, .cpu_times, null, null,
    $goal[.medium][.load]];

def net: .cases[] | pair(.case; .ours; .theirs; 1);

def session: .figures[] | [.figure + ", " + .unit, .ours, .peer, .times, .least, .most, .goal];

# What the back end's processor does for each request, spinning or not, beside epoll.
def notify:
  . as $all
  | ([.rounds[0].results[].queues] | unique)[] as $q
  | ([.rounds[0].results[].back_end] | unique - ["epoll, read, write"])[] as $who
  | ("cpu_ns", "kick_each_cpu_ns") as $what
  | def of($w): [$all.rounds[].results[] | select(.queues == $q and .back_end == $w) | .[$what]];
    pair("\($q) queue\(if $q > 1 then "s" else "" end), \(if $what == "cpu_ns" then "depth 16" else "a kick each" end): \($who)";
      of($who); of("epoll, read, write");
      if $q == 1 then 1 elif $what == "cpu_ns" then 0.5 else 0.62 end);

def kernel: .ways as $w
  | $w[] | . as $x | ($w[] | select(.way == "epoll" and .rings == $x.rings)) as $e
  | select(.way != "epoll")
  | ["\(.rings) ring\(if .rings > 1 then "s" else "" end): \(.way)", .instructions, $e.instructions,
     .instructions / $e.instructions, null, null,
     (if .way == "mux" and .rings == 64 then 60 / $e.instructions elif .way == "mux" and .rings == 8
      then 250 / $e.instructions else null end)];

def growth: .points[] | select(. != null)
  | ["\(.series): \(.at)", .ns, .base_ns, .times, .least, .most, .goal];

def figure: if . == null then "-" elif type == "string" then . elif . == 0 then "0"
  elif fabs >= 1000 then (round | tostring) elif fabs >= 10 then (. * 10 | round / 10 | tostring)
  else (. * 1000 | round / 1000 | tostring) end;
{ rings: [rings?], disk: [disk?], disk_cpu: [disk_cpu?], net: [net?], session: [session?], notify: [notify?],
  kernel: [kernel?], growth: [growth?] }[$section][] | map(figure) | @tsv
