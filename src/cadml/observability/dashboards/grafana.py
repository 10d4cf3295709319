"""A :class:`Dashboard` in Grafana's JSON, by Grafana's own builders."""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, heatmap, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as building
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from cadml.observability.dashboards.model import Dashboard, Panel
from cadml.observability.promql import exported, judge

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
INTERVALS = ("15s", "30s", "1m", "5m", "15m", "1h")
HEIGHT = 8  # grid units
TAG = "cadml"
PROBE = "database_up"  # a series that every service exports: where job and instance are found


def grafana(board: Dashboard) -> str:
    """Return ``board`` as the text of a file that Grafana can be provisioned with.

    Raises
    ------
    QueryError
        A query does not fit what is exported.
    """
    made = (
        building.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables(_variables())
        .link(
            building.DashboardLink("cadml")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(as_dropdown=True)
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
    )
    number = 0
    for row in board.rows:
        made = made.with_row(building.Row(row.title).id(number := number + 1))
        for panel in row.panels:
            made = made.with_panel(_panel(panel, number := number + 1))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _variables() -> list[Any]:
    source = building.DatasourceVariable("datasource").label("Data source").type("prometheus")
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return [
        source,
        *(
            building.QueryVariable(name)
            .label(name.capitalize())
            .datasource(SOURCE)
            .query(query)
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".+")
            .current(everything)
            for name, query in (
                ("job", f"label_values({PROBE}, job)"),
                ("instance", f'label_values({PROBE}{{job=~"$job"}}, instance)'),
            )
        ),
        building.IntervalVariable("interval")
        .label("Interval")
        .values(",".join(INTERVALS))
        .options([models.VariableOption(text=each, value=each) for each in INTERVALS])
        .current(models.VariableOption(selected=True, text=INTERVALS[0], value=INTERVALS[0])),
    ]


def _panel(panel: Panel, number: int) -> Any:
    made = _BUILDERS[panel.kind](panel)
    made = (
        made.id(number)
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .interval("$interval")  # the smallest step, and with it the smallest $__rate_interval
        .unit(panel.unit)
        .no_value(panel.empty)
        .span(panel.width)
        .height(HEIGHT)
        .thresholds(_thresholds(panel))
    )
    if panel.bottom is not None:
        made = made.min(panel.bottom)
    if panel.top is not None:
        made = made.max(panel.top)
    if panel.words:
        shown = {
            value: models.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, text, colour) in enumerate(panel.words)
        }
        made = made.mappings([models.ValueMap(shown)])
    for place, query in enumerate(panel.queries):
        judge(query.expression, exported())
        asked = Dataquery().expr(query.expression).legend_format(query.legend).ref_id(chr(ord("A") + place))
        asked = asked.datasource(SOURCE)
        if panel.kind == "heatmap":
            asked = asked.format(PromQueryFormat.HEATMAP)
        made = made.with_target(asked.range() if panel.kind in {"timeseries", "heatmap"} else asked.instant())
    return made


def _thresholds(panel: Panel) -> Any:
    base = "green" if panel.steps else "blue"
    steps = [models.Threshold(None, base), *(models.Threshold(*step) for step in panel.steps)]
    return building.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(_: Panel) -> Any:
    legend = (
        common.VizLegendOptions().display_mode(words.LegendDisplayMode.LIST).show_legend(show_legend=True)
    )
    return (
        timeseries.Panel()
        .legend(legend.placement(words.LegendPlacement.BOTTOM))
        .line_width(1)
        .fill_opacity(8)
        .show_points(words.VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI))
    )


def _last() -> Any:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def _number(_: Panel) -> Any:
    return stat.Panel().reduce_options(_last()).graph_mode(words.BigValueGraphMode.NONE)


def _bars(_: Panel) -> Any:
    return (
        bargauge.Panel()
        .reduce_options(_last())
        .orientation(words.VizOrientation.HORIZONTAL)
        .display_mode(words.BarGaugeDisplayMode.BASIC)
    )


def _heat(_: Panel) -> Any:
    return heatmap.Panel().calculate(calculate=False).show_legend()


_BUILDERS = {"timeseries": _lines, "stat": _number, "bargauge": _bars, "heatmap": _heat}
