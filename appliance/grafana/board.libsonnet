// What all dashboards are made of: panels in rows, queries, variables. Grafana's JSON model, schema 39.
{
  local datasource = { type: 'prometheus', uid: '${datasource}' },

  // `legend`: Grafana's {{label}} is replaced.
  query(expr, legend=''):: { expr: expr, legendFormat: legend },

  local base(type, title, description, unit, queries) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    fieldConfig: { defaults: { unit: unit }, overrides: [] },
    targets: std.mapWithIndex(
      function(i, query) query { refId: std.char(65 + i), datasource: datasource }, queries
    ),
    width:: 8,
    height:: 7,
  },

  // Curves over time. `unit`: Grafana's name of it.
  curves(title, description, unit, queries):: base('timeseries', title, description, unit, queries) {
    fieldConfig+: { defaults+: { min: 0, custom: { lineWidth: 1, fillOpacity: 8, showPoints: 'never' } } },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  },

  // The same, one upon the other.
  stacked(title, description, unit, queries):: self.curves(title, description, unit, queries) {
    fieldConfig+: { defaults+: { custom+: { fillOpacity: 30, stacking: { mode: 'normal', group: 'A' } } } },
  },

  // One number, as it is now. `steps`: [value, colour], from the smallest on.
  number(title, description, unit, expr, steps=[[null, 'blue']]):: base('stat', title, description, unit, [$.query(expr)]) {
    width:: 4,
    height:: 4,
    fieldConfig+: {
      defaults+: {
        thresholds: { mode: 'absolute', steps: [{ value: step[0], color: step[1] } for step in steps] },
      },
    },
    options: {
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      colorMode: 'value',
      graphMode: 'area',
    },
  },

  // How latencies are spread, from a histogram's buckets.
  spread(title, description, expr):: base('heatmap', title, description, 's', [
    $.query(expr, '{{le}}') { format: 'heatmap' },
  ]) {
    options: {
      calculate: false,
      color: { mode: 'scheme', scheme: 'Oranges', steps: 64 },
      yAxis: { unit: 's' },
      cellGap: 1,
      tooltip: { show: true, yHistogram: false },
      legend: { show: true },
    },
  },

  // One line for each subject, one column for each query: [expr, heading, unit]. A query without a heading brings its labels only.
  table(title, description, by, columns):: base('table', title, description, 'none', [
    $.query(column[0]) { format: 'table', instant: true }
    for column in columns
  ]) {
    width:: 24,
    height:: 6,
    fieldConfig+: {
      overrides: [
        {
          matcher: { id: 'byName', options: column[1] },
          properties: [{ id: 'unit', value: column[2] }],
        }
        for column in columns
        if column[1] != ''
      ],
    },
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true, job: true, __name__: true } + {
            ['Value #' + std.char(65 + i)]: true
            for i in std.range(0, std.length(columns) - 1)
            if columns[i][1] == ''
          },
          indexByName: { [by]: 0 },
          renameByName: {
            ['Value #' + std.char(65 + i)]: columns[i][1]
            for i in std.range(0, std.length(columns) - 1)
            if columns[i][1] != ''
          },
        },
      },
    ],
  },

  // Panels from left to right, in as many lines as they need.
  local place(panels) =
    local step(at, panel) =
      local fits = at.x + panel.width <= 24;
      local x = if fits then at.x else 0;
      local y = if fits then at.y else at.y + at.height;
      {
        x: x + panel.width,
        y: y,
        height: if fits then std.max(at.height, panel.height) else panel.height,
        placed: at.placed + [panel { gridPos: { x: x, y: y, w: panel.width, h: panel.height } }],
      };
    std.foldl(step, panels, { x: 0, y: 0, height: 0, placed: [] }).placed,

  local variable(name, query) = {
    name: name,
    type: 'query',
    datasource: datasource,
    query: { query: query, refId: name },
    definition: query,
    refresh: 2,
    sort: 1,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  },
  local variable_datasource = {
    name: 'datasource',
    type: 'datasource',
    query: 'prometheus',
    label: 'Prometheus',
    current: {},
  },

  local event(name, expr, colour) = {
    name: name,
    datasource: datasource,
    enable: true,
    expr: expr,
    iconColor: colour,
    step: '60s',
    titleFormat: name,
  },

  // `choices`: of the variables beside datasource and instance, {name: query}.
  board(uid, title, description, choices, panels):: {
    uid: uid,
    title: title,
    description: description,
    tags: ['forebay'],
    schemaVersion: 39,
    version: 1,
    editable: false,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: 'browser',
    links: [{ type: 'dashboards', tags: ['forebay'], title: 'Forebay', asDropdown: true, keepTime: true, includeVars: true }],
    templating: {
      list: [variable_datasource, variable('instance', 'label_values(forebay_build_info, instance)')]
            + [variable(name, choices[name]) for name in std.objectFields(choices)],
    },
    annotations: {
      list: [
        event('started', 'changes(process_start_time_seconds{job="forebay", instance=~"$instance"}[1m]) > 0', 'red'),
        event('reloaded', 'changes(forebay_config_last_reload_timestamp_seconds{instance=~"$instance"}[1m]) > 0', 'blue'),
      ],
    },
    panels: std.mapWithIndex(function(i, panel) panel { id: i + 1 }, place(panels)),
  },
}
