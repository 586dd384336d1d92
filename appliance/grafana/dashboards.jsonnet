// The dashboards. What is checked in below dashboards/ is made from this by:
//     jsonnet -m appliance/grafana/dashboards appliance/grafana/dashboards.jsonnet
// The metrics: docs/metrics.md
local board = import 'board.libsonnet';
local query = board.query;

local all = 'instance=~"$instance"';
local volume = all + ', volume=~"$volume"';
local cache = all + ', cache=~"$cache"';
local pool = all + ', pool=~"$pool"';
local host = all + ', host=~"$host"';
local reactor = all + ', reactor=~"$reactor"';

local rate(metric, labels) = 'rate(%s{%s}[$__rate_interval])' % [metric, labels];
local sum(expr, by='') = if by == '' then 'sum(%s)' % expr else 'sum by (%s) (%s)' % [by, expr];
local quantile(q, metric, labels, by) = 'histogram_quantile(%s, %s)' % [q, sum(rate(metric + '_bucket', labels), by + ', le')];
local mean(metric, labels, by) = '%s / %s' % [sum(rate(metric + '_sum', labels), by), sum(rate(metric + '_count', labels), by)];
local gauge(metric, labels) = '%s{%s}' % [metric, labels];
// 0 / 0 where nothing happens: no sample, and not NaN.
local share(part, others) = '%s / (%s > 0)' % [part, std.join(' + ', [part] + others)];

local good = [[null, 'red'], [1, 'green']];
local bad = [[null, 'green'], [1, 'red']];

local overview = board.board('forebay-overview', 'Forebay / Overview', 'Is it well, and what is it doing?', {}, [
  board.number('Ready', '1: every volume is online, as /readyz says.', 'none', 'min(%s)' % gauge('forebay_ready', all), good),
  board.number('Alerts', 'Alerts of Forebay that fire now; docs/alerts.md says what to do.', 'none', 'count(ALERTS{alertname=~"Forebay.*", alertstate="firing"}) or vector(0)', bad),
  board.number('Volumes online', 'Served and well.', 'none', sum(gauge('forebay_volume_online', all))),
  board.number('Hosts connected', 'With at least one session.', 'none', 'count(%s > 0) or vector(0)' % gauge('forebay_host_sessions', all)),
  board.number('Dirty', 'In caches, durable, and not in the pools yet.', 'bytes', sum(gauge('forebay_volume_dirty_bytes', all))),
  board.number('Up for', 'The daemon that started last.', 's', 'min(time() - process_start_time_seconds{job="forebay", %s})' % all),
  board.curves('Operations', 'Reads and writes of all volumes, answered.', 'iops', [
    query(sum(rate('forebay_volume_reads_total', all)), 'read'),
    query(sum(rate('forebay_volume_writes_total', all)), 'write'),
  ]),
  board.curves('Bandwidth', 'Read and written by hosts.', 'Bps', [
    query(sum(rate('forebay_volume_read_bytes_total', all)), 'read'),
    query(sum(rate('forebay_volume_written_bytes_total', all)), 'write'),
  ]),
  board.curves('Latency', 'Half of the commands take no longer than p50, 99 of 100 no longer than p99; all volumes together.', 's', [
    query(quantile('0.5', 'forebay_volume_read_seconds', all, 'job'), 'read p50'),
    query(quantile('0.99', 'forebay_volume_read_seconds', all, 'job'), 'read p99'),
    query(quantile('0.5', 'forebay_volume_write_seconds', all, 'job'), 'write p50'),
    query(quantile('0.99', 'forebay_volume_write_seconds', all, 'job'), 'write p99'),
  ]),
  board.curves('Cache hits', 'Part of the reads that the caches had whole.', 'percentunit', [
    query(share(sum(rate('forebay_volume_cache_read_hits_total', all)), [sum(rate('forebay_volume_cache_read_misses_total', all))]), 'hits'),
  ]),
  board.curves('Errors', 'Commands that failed, by class: media, unavailable, refused, capacity.', 'cps', [
    query(sum(rate('forebay_volume_read_errors_total', all), 'class'), 'read {{class}}'),
    query(sum(rate('forebay_volume_write_errors_total', all), 'class'), 'write {{class}}'),
  ]),
  board.curves('Reactors', 'Part of the time that each reactor has work.', 'percentunit', [
    query(share(rate('forebay_reactor_busy_seconds_total', all), [rate('forebay_reactor_idle_seconds_total', all)]), '{{instance}} reactor {{reactor}}'),
  ]),
  board.table('Volumes', 'One line for each volume.', 'volume', [
    [gauge('forebay_volume_info', all), '', 'none'],
    [sum(gauge('forebay_volume_size_bytes', all), 'instance, volume'), 'size', 'bytes'],
    [sum(rate('forebay_volume_reads_total', all), 'instance, volume'), 'reads', 'iops'],
    [sum(rate('forebay_volume_writes_total', all), 'instance, volume'), 'writes', 'iops'],
    [quantile('0.99', 'forebay_volume_read_seconds', all, 'instance, volume'), 'read p99', 's'],
    [quantile('0.99', 'forebay_volume_write_seconds', all, 'instance, volume'), 'write p99', 's'],
    [sum(gauge('forebay_volume_dirty_bytes', all), 'instance, volume'), 'dirty', 'bytes'],
  ]),
  board.table('Pools', 'One line for each pool.', 'pool', [
    [gauge('forebay_pool_info', all), '', 'none'],
    [sum(gauge('forebay_pool_size_bytes', all), 'instance, pool'), 'size', 'bytes'],
    [sum(gauge('forebay_pool_free_bytes', all), 'instance, pool'), 'free', 'bytes'],
  ]),
]);

local volumes = board.board('forebay-volume', 'Forebay / Volume', 'What hosts get from a volume, and what its cache does for it.', {
  volume: 'label_values(forebay_volume_info{%s}, volume)' % all,
}, [
  board.curves('Operations', 'Answered, also those that failed.', 'iops', [
    query(rate('forebay_volume_reads_total', volume), '{{volume}} read'),
    query(rate('forebay_volume_writes_total', volume), '{{volume}} write'),
    query(rate('forebay_volume_other_commands_total', volume), '{{volume}} other'),
  ]),
  board.curves('Bandwidth', 'Read and written by hosts.', 'Bps', [
    query(rate('forebay_volume_read_bytes_total', volume), '{{volume}} read'),
    query(rate('forebay_volume_written_bytes_total', volume), '{{volume}} write'),
  ]),
  board.curves('In flight', 'Commands received and not answered: the queue depth that hosts keep up.', 'none', [
    query(gauge('forebay_volume_in_flight', volume), '{{volume}}'),
  ]),
  board.curves('Read latency', 'From the command in the socket to its answer in the socket.', 's', [
    query(quantile('0.5', 'forebay_volume_read_seconds', volume, 'volume'), '{{volume}} p50'),
    query(quantile('0.99', 'forebay_volume_read_seconds', volume, 'volume'), '{{volume}} p99'),
  ]),
  board.curves('Write latency', 'The same; it has waiting for the data of the write.', 's', [
    query(quantile('0.5', 'forebay_volume_write_seconds', volume, 'volume'), '{{volume}} p50'),
    query(quantile('0.99', 'forebay_volume_write_seconds', volume, 'volume'), '{{volume}} p99'),
  ]),
  board.curves('Mean latency', 'For comparison with other tools; percentiles say more.', 's', [
    query(mean('forebay_volume_read_seconds', volume, 'volume'), '{{volume}} read'),
    query(mean('forebay_volume_write_seconds', volume, 'volume'), '{{volume}} write'),
  ]),
  board.spread('Reads by latency', 'How many reads took how long.', sum(rate('forebay_volume_read_seconds_bucket', volume), 'le')) { width:: 12 },
  board.spread('Writes by latency', 'How many writes took how long.', sum(rate('forebay_volume_write_seconds_bucket', volume), 'le')) { width:: 12 },
  board.curves('Cache hits', 'Part of the reads that the cache had whole.', 'percentunit', [
    query(share(rate('forebay_volume_cache_read_hits_total', volume), [rate('forebay_volume_cache_read_misses_total', volume)]), '{{volume}}'),
  ]),
  board.curves('Misses and fills', 'Reads that needed the pool, and pieces of them that were put into the cache.', 'cps', [
    query(rate('forebay_volume_cache_read_misses_total', volume), '{{volume}} misses'),
    query(rate('forebay_volume_cache_fills_total', volume), '{{volume}} fills'),
  ]),
  board.curves('Around the cache', 'By reason: first_read, sequential (not worth a place), no_room, mode.', 'cps', [
    query(rate('forebay_volume_cache_bypasses_total', volume), '{{volume}} {{reason}}'),
  ]),
  board.curves('Dirty', 'In the cache, for the pool.', 'bytes', [
    query(gauge('forebay_volume_dirty_bytes', volume), '{{volume}}'),
  ]),
  board.curves('Age of what is dirty', 'How long the oldest dirty data has waited; and how far the pool alone would go back (RPO).', 's', [
    query(gauge('forebay_volume_oldest_dirty_age_seconds', volume), '{{volume}} oldest dirty'),
    query(gauge('forebay_volume_consistent_point_age_seconds', volume), '{{volume}} consistent point'),
  ]),
  board.curves('Write-back', 'Brought from the cache to the pool.', 'Bps', [
    query(rate('forebay_volume_written_back_bytes_total', volume), '{{volume}}'),
  ]),
  board.curves('Errors', 'By class: media, unavailable (the host is to try again), refused (its own), capacity.', 'cps', [
    query(rate('forebay_volume_read_errors_total', volume), '{{volume}} read {{class}}'),
    query(rate('forebay_volume_write_errors_total', volume), '{{volume}} write {{class}}'),
    query(rate('forebay_volume_aborted_total', volume), '{{volume}} aborted'),
    query(rate('forebay_volume_write_back_failures_total', volume), '{{volume}} write-back failed'),
  ]),
  board.curves('Bad in the cache', 'Parts of reads that the cache had bad: had from the pool, or lost.', 'cps', [
    query(rate('forebay_volume_cache_healed_reads_total', volume), '{{volume}} healed'),
    query(rate('forebay_volume_cache_lost_reads_total', volume), '{{volume}} lost'),
  ]),
  board.curves('Lost', 'Blocks that nobody has any more, until they are written.', 'bytes', [
    query(gauge('forebay_volume_lost_bytes', volume), '{{volume}}'),
  ]),
]);

local caches = board.board('forebay-cache', 'Forebay / Cache', 'The cache devices: what is in them, what is done to them.', {
  cache: 'label_values(forebay_cache_open{%s}, cache)' % all,
}, [
  board.number('Open', '1: all that are chosen are open.', 'none', 'min(%s)' % gauge('forebay_cache_open', cache), good),
  board.number('Failed', '1: one could not be written; writes are refused until a restart.', 'none', 'max(%s)' % gauge('forebay_cache_failed', cache), bad),
  board.number('Size', 'Of the devices that are chosen.', 'bytes', sum(gauge('forebay_cache_size_bytes', cache))),
  board.number('Dirty', 'That waits for pools.', 'bytes', sum(gauge('forebay_cache_dirty_bytes', cache))),
  board.number('Free', 'Of data and logs.', 'bytes', sum(gauge('forebay_cache_free_bytes', cache))),
  board.number('Recovery', 'What opening took at the last start, until volumes were served.', 's', 'max(%s)' % gauge('forebay_cache_recovery_seconds', cache)),
  board.stacked('Segments', 'By what they hold.', 'none', [
    query(gauge('forebay_cache_segments', cache), '{{cache}} {{state}}'),
  ]),
  board.curves('Dirty', 'Part of the device that waits for pools.', 'percentunit', [
    query('%s / %s' % [gauge('forebay_cache_dirty_bytes', cache), gauge('forebay_cache_size_bytes', cache)], '{{cache}}'),
  ]),
  board.stacked('Dirty by volume', 'Whose it is.', 'bytes', [
    query(gauge('forebay_volume_dirty_bytes', all), '{{volume}}'),
  ]),
  board.curves('Stored', 'Bytes copied into it: data, logs and tables.', 'Bps', [
    query(rate('forebay_cache_stored_bytes_total', cache), '{{cache}}'),
  ]),
  board.curves('Stores and fences', 'Copies, and how often they were made durable (in page granularity: writes and syncs).', 'cps', [
    query(rate('forebay_cache_stores_total', cache), '{{cache}} stores'),
    query(rate('forebay_cache_fences_total', cache), '{{cache}} fences'),
  ]),
  board.curves('Bytes a fence', 'What one fence makes durable: grows with what is under way at once.', 'bytes', [
    query('%s / (%s > 0)' % [rate('forebay_cache_stored_bytes_total', cache), rate('forebay_cache_fences_total', cache)], '{{cache}}'),
  ]),
  board.curves('Reads in place', 'Sent from where they lie, without a copy.', 'Bps', [
    query(rate('forebay_cache_bytes_in_place_total', cache), '{{cache}}'),
  ]),
  board.curves('Large reads in place', 'The same, counted.', 'iops', [
    query(rate('forebay_cache_reads_in_place_total', cache), '{{cache}}'),
  ]),
  board.curves('Reclaim', 'Blocks that were given up as cold, and kept as hot.', 'Bps', [
    query(rate('forebay_cache_reclaim_dropped_bytes_total', cache), '{{cache}} dropped'),
    query(rate('forebay_cache_reclaim_kept_bytes_total', cache), '{{cache}} kept'),
  ]),
  board.curves('Segments reclaimed', 'Freed by reclaim.', 'cps', [
    query(rate('forebay_cache_reclaimed_segments_total', cache), '{{cache}}'),
  ]),
  board.curves('Bad blocks', 'Reads of what the medium has lost: had from the pool, or lost.', 'cps', [
    query(rate('forebay_cache_healed_reads_total', cache), '{{cache}} healed'),
    query(rate('forebay_cache_lost_reads_total', cache), '{{cache}} lost'),
  ]),
  board.table('Devices', 'One line for each device that is open.', 'cache', [
    [gauge('forebay_cache_info', cache), '', 'none'],
    [sum(gauge('forebay_cache_size_bytes', cache), 'instance, cache'), 'size', 'bytes'],
    [sum(gauge('forebay_cache_free_bytes', cache), 'instance, cache'), 'free', 'bytes'],
    [sum(gauge('forebay_cache_dirty_bytes', cache), 'instance, cache'), 'dirty', 'bytes'],
  ]),
]);

local pools = board.board('forebay-pools', 'Forebay / Pools and disks', 'Space of the pools, and how their disks are.', {
  pool: 'label_values(forebay_pool_info{%s}, pool)' % all,
}, [
  board.number('Open', '1: all pools that are chosen are open, and their disks answer.', 'none', 'min(%s)' % gauge('forebay_pool_open', pool), good),
  board.number('Disks not well', 'Errors, slower than their peers, SMART, hangs.', 'none', 'count(%s == 0) or vector(0)' % gauge('forebay_disk_healthy', pool), bad),
  board.number('Pools filling', 'warn_at is reached.', 'none', sum(gauge('forebay_pool_filling', pool)), bad),
  board.number('Size', 'Of all that are chosen.', 'bytes', sum(gauge('forebay_pool_size_bytes', pool))),
  board.number('Free', 'Of all that are chosen.', 'bytes', sum(gauge('forebay_pool_free_bytes', pool))),
  board.number('Retained volumes', 'In the pools, and not in the configuration.', 'none', sum(gauge('forebay_pool_retained_volumes', pool))),
  board.curves('Used', 'Part of the file system, or of all members.', 'percentunit', [
    query('1 - %s / %s' % [gauge('forebay_pool_free_bytes', pool), gauge('forebay_pool_size_bytes', pool)], '{{pool}}'),
  ]),
  board.curves('Free, promised, reserved', 'Promised: answered to hosts and not written there yet. Reserved: stays free.', 'bytes', [
    query(gauge('forebay_pool_free_bytes', pool), '{{pool}} free'),
    query(gauge('forebay_pool_promised_bytes', pool), '{{pool}} promised'),
    query(gauge('forebay_pool_reserve_bytes', pool), '{{pool}} reserve'),
  ]),
  board.curves('In flight', 'Operations that a disk has not answered.', 'none', [
    query(gauge('forebay_disk_in_flight', pool), '{{disk}}'),
  ]),
  board.curves('Operations', 'Answered by each disk.', 'iops', [
    query(rate('forebay_disk_read_seconds_count', pool), '{{disk}} read'),
    query(rate('forebay_disk_write_seconds_count', pool), '{{disk}} write'),
    query(rate('forebay_disk_sync_seconds_count', pool), '{{disk}} flush'),
  ]),
  board.curves('Read latency', '99 of 100 reads of a disk take no longer.', 's', [
    query(quantile('0.99', 'forebay_disk_read_seconds', pool, 'disk'), '{{disk}}'),
  ]),
  board.curves('Write latency', '99 of 100 writes of a disk take no longer.', 's', [
    query(quantile('0.99', 'forebay_disk_write_seconds', pool, 'disk'), '{{disk}}'),
  ]),
  board.curves('Flush latency', '99 of 100 flushes of a disk take no longer.', 's', [
    query(quantile('0.99', 'forebay_disk_sync_seconds', pool, 'disk'), '{{disk}}'),
  ]),
  board.curves('Errors', 'Operations that failed, and such as took 30 s or longer.', 'cps', [
    query(rate('forebay_disk_read_errors_total', pool), '{{disk}} read'),
    query(rate('forebay_disk_write_errors_total', pool), '{{disk}} write'),
    query(rate('forebay_disk_sync_errors_total', pool), '{{disk}} flush'),
    query(rate('forebay_disk_timeouts_total', pool), '{{disk}} timeout'),
  ]),
  board.curves('Temperature', 'As the disks tell (SMART).', 'celsius', [
    query(gauge('forebay_disk_temperature_celsius', pool), '{{disk}}'),
  ]),
  board.curves('Wear', 'Part of the life of flash that is used (SMART).', 'percentunit', [
    query(gauge('forebay_disk_wear_ratio', pool), '{{disk}}'),
  ]),
  board.curves('Bad sectors', 'Reallocated, and pending: waiting to be written anew (SMART).', 'none', [
    query(gauge('forebay_disk_reallocated_sectors', pool), '{{disk}} reallocated'),
    query(gauge('forebay_disk_pending_sectors', pool), '{{disk}} pending'),
  ]),
  board.table('Disks', 'One line for each disk. well: 1, or something is to be said against it. SMART: its own verdict.', 'disk', [
    [gauge('forebay_disk_info', pool), '', 'none'],
    [sum(gauge('forebay_disk_healthy', pool), 'instance, pool, disk'), 'well', 'none'],
    [sum(gauge('forebay_disk_smart_passed', pool), 'instance, pool, disk'), 'SMART', 'none'],
    [sum(gauge('forebay_disk_power_on_seconds', pool), 'instance, pool, disk'), 'powered on', 's'],
  ]),
]);

local hosts = board.board('forebay-hosts', 'Forebay / Hosts', 'Who is connected, by what, and what goes wrong between.', {
  host: 'label_values(forebay_host_sessions{%s}, host)' % all,
}, [
  board.curves('Sessions', 'NVMe controllers or iSCSI sessions; 0: it was connected, and is not.', 'none', [
    query(gauge('forebay_host_sessions', host), '{{host}} {{protocol}}'),
  ]),
  board.curves('Connections', 'TCP connections of them.', 'none', [
    query(gauge('forebay_host_connections', host), '{{host}} {{protocol}}'),
  ]),
  board.curves('Sessions begun', 'Within the last hour: more than one or two for each path is a host that reconnects.', 'none', [
    query('increase(forebay_host_connects_total{%s}[1h])' % host, '{{host}} {{protocol}}'),
  ]),
  board.curves('Reads', 'That succeeded.', 'iops', [
    query(rate('forebay_host_reads_total', host), '{{host}}'),
  ]),
  board.curves('Writes', 'That succeeded.', 'iops', [
    query(rate('forebay_host_writes_total', host), '{{host}}'),
  ]),
  board.curves('Bandwidth', 'Read and written by each host.', 'Bps', [
    query(rate('forebay_host_read_bytes_total', host), '{{host}} read'),
    query(rate('forebay_host_written_bytes_total', host), '{{host}} write'),
  ]),
  board.curves('Hosts that fell silent', 'Sessions ended by keep-alive or NOP, within the last hour.', 'none', [
    query('increase(forebay_host_keep_alive_expiries_total{%s}[1h])' % host, '{{host}} {{protocol}}'),
  ]),
  board.curves('Media errors', 'Commands answered with one.', 'cps', [
    query(rate('forebay_host_media_errors_total', host), '{{host}}'),
  ]),
  board.curves('Logins', 'Accepted, refused, and refused because the proof was wrong.', 'cps', [
    query(rate('forebay_logins_total', all), '{{protocol}} accepted'),
    query(rate('forebay_logins_refused_total', all), '{{protocol}} refused'),
    query(rate('forebay_authentication_failures_total', all), '{{protocol}} wrong proof'),
  ]),
  board.curves('Listeners', '1: listening.', 'none', [
    query(gauge('forebay_listener_up', all), '{{listener}}'),
  ]),
  board.curves('Connections by listener', 'Open now.', 'none', [
    query(gauge('forebay_listener_connections', all), '{{listener}}'),
  ]),
  board.curves('Connections', 'Opened and ended.', 'cps', [
    query(rate('forebay_connections_opened_total', all), 'opened'),
    query(sum(rate('forebay_connections_ended_total', all), 'reason'), 'ended: {{reason}}'),
  ]),
  board.curves('Network', 'All bytes of all connections.', 'Bps', [
    query(rate('forebay_network_receive_bytes_total', all), 'received'),
    query(rate('forebay_network_transmit_bytes_total', all), 'sent'),
  ]),
  board.curves('Digest errors', 'CRC-32C of PDUs that did not match: a network that changes data.', 'cps', [
    query(rate('forebay_header_digest_errors_total', all), 'header'),
    query(rate('forebay_data_digest_errors_total', all), 'data'),
  ]),
  board.curves('Broken protocol', 'Connections ended for what came by them, or for silence where something was owed.', 'cps', [
    query(rate('forebay_protocol_errors_total', all), 'protocol errors'),
    query(rate('forebay_connection_timeouts_total', all), 'time-outs'),
  ]),
  board.number('Open connections', 'Of all listeners.', 'none', sum(gauge('forebay_connections', all))),
]);

local reactors = board.board('forebay-reactors', 'Forebay / Reactors', 'Where time and memory go, for whoever tunes it.', {
  reactor: 'label_values(forebay_reactor_busy_seconds_total{%s}, reactor)' % all,
}, [
  board.curves('Busy', 'Part of the time with work; latency grows towards 1.', 'percentunit', [
    query(share(rate('forebay_reactor_busy_seconds_total', reactor), [rate('forebay_reactor_idle_seconds_total', reactor)]), 'reactor {{reactor}}'),
  ]),
  board.curves('Polling', 'Part of the time that it polls in vain, so as not to fall asleep between commands.', 'percentunit', [
    query(rate('forebay_reactor_polling_seconds_total', reactor), 'reactor {{reactor}}'),
  ]),
  board.curves('Turns and sleeps', 'A turn takes what has come from sockets and disks; more than one command a turn is work saved.', 'cps', [
    query(rate('forebay_reactor_turns_total', reactor), 'reactor {{reactor}} turns'),
    query(rate('forebay_reactor_sleeps_total', reactor), 'reactor {{reactor}} sleeps'),
  ]),
  board.curves('Stages, p99', 'receive: until all data and a buffer are there. qos_wait: held back by limits. cache: write order, room, looking up. commit: until the cache has it durably. backing: disks. send: to the socket.', 's', [
    query(quantile('0.99', 'forebay_reactor_stage_seconds', reactor, 'stage'), '{{stage}}'),
  ]),
  board.curves('Stages, mean', 'Of the commands that pass them: not every one waits for limits, a commit or disks.', 's', [
    query(mean('forebay_reactor_stage_seconds', reactor, 'stage'), '{{stage}}'),
  ]),
  board.curves('Disk operations', 'Under way.', 'none', [
    query(gauge('forebay_reactor_disk_operations', reactor), 'reactor {{reactor}}'),
  ]),
  board.curves('Connections', 'Of each reactor: are they spread?', 'none', [
    query(gauge('forebay_reactor_connections', reactor), 'reactor {{reactor}}'),
  ]),
  board.curves('Memory', 'Buffers and indexes, against memory: of the configuration.', 'bytes', [
    query(gauge('forebay_memory_used_bytes', all), 'used'),
    query(gauge('forebay_memory_limit_bytes', all), 'limit'),
    query('process_resident_memory_bytes{job="forebay", %s}' % all, 'resident'),
  ]),
  board.curves('Commands that waited', 'For a buffer; sent back because their volume hangs; copied out of the cache because the host is slow.', 'cps', [
    query(rate('forebay_buffer_waits_total', all), 'buffer'),
    query(rate('forebay_hang_refusals_total', all), 'sent back'),
    query(rate('forebay_pins_copied_total', all), 'copied'),
  ]),
  board.curves('CPU', 'Cores that the process uses, all threads together.', 'none', [
    query('rate(process_cpu_seconds_total{job="forebay", %s}[$__rate_interval])' % all, 'cores'),
  ]),
  board.curves('Descriptors', 'Open, against the most it may have.', 'none', [
    query('process_open_fds{job="forebay", %s}' % all, 'open'),
    query('process_max_fds{job="forebay", %s}' % all, 'most'),
  ]),
  board.curves('Scrape', 'What copying the counters for Prometheus takes.', 's', [
    query(gauge('forebay_scrape_copy_seconds', all), '{{instance}}'),
  ]),
  board.table('Daemons', 'Versions and configurations that run.', 'node', [
    [gauge('forebay_build_info', all), '', 'none'],
    [gauge('forebay_config_info', all), '', 'none'],
  ]),
]);

{ [one.uid + '.json']: one for one in [overview, volumes, caches, pools, hosts, reactors] }
