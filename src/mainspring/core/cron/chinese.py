"""Schedules in Chinese sentences."""

from __future__ import annotations

from typing import assert_never

from mainspring.core.cron.meaning import Clock, Days, Meaning, Series, even_steps, runs, week_runs
from mainspring.core.cron.tree import DayFromEnd, NearestWeekday, NthWeekday

_WEEK = "日一二三四五六"
_NTH = ("最后一个", "第一个", "第二个", "第三个", "第四个", "第五个")
_WORKING = "工作日（周一至周五）"


def sentence(meaning: Meaning) -> str:
    """The whole schedule, without the zone and the full stop."""
    years = _years(meaning.years)
    days = _days(meaning)
    when = f"{years}，{days}" if years and days else years or days
    times, repeated = _times(meaning)
    if when and not when.endswith("每天") and (days.endswith(("）", "一次")) or not times[0].isdigit()):
        when += "，"
    return _spaced(when, times, "执行一次" if repeated else "执行")


def every(interval_ms: int) -> str:
    """`@every`, whose length is in milliseconds."""
    minutes, ms = divmod(interval_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    units = (f"{hours}", "小时"), (f"{minutes}", "分钟"), (f"{ms / 1000:g}", "秒")
    length = " ".join(f"{n} {unit}" for n, unit in units if n != "0")
    return f"每隔 {length}执行一次，从创建或最近一次修改时起算"


def in_zone(zone_name: str) -> str:
    """What follows the sentence to say in which zone its times are."""
    return f"（{zone_name} 时间）"


def _spaced(*parts: str) -> str:
    """The parts one after the other, with a space where a digit or letter meets a Chinese character."""
    text = ""
    for part in filter(None, parts):
        meet = text[-1:].isalnum() and part[0].isalnum() and text[-1].isascii() != part[0].isascii()
        text += f" {part}" if meet else part
    return text


def _joined(parts: list[str], word: str = "和") -> str:
    """`甲`, `甲和乙`, `甲、乙和丙`."""
    return parts[0] if len(parts) == 1 else _spaced("、".join(parts[:-1]), word, parts[-1])


# ---- times of day


def _times(m: Meaning) -> tuple[str, bool]:
    """The times of day, and whether they are said as a rate (`每 5 分钟`) and not as times."""
    if m.times:
        return _joined(_clocks(m.times)), False
    if not m.seconds.single:
        return _many_seconds(m)
    if not m.minutes.single:
        text, repeated = _many_minutes(m)
        second = m.seconds.first
        return (f"{text}的第 {second} 秒", False) if second else (text, repeated)
    return _many_hours(m)


def _clocks(times: tuple[Clock, ...]) -> list[str]:
    seconds = any(second for _, _, second in times)
    return [f"{h:02}:{m:02}" + (f":{s:02}" if seconds else "") for h, m, s in times]


def _many_hours(m: Meaning) -> tuple[str, bool]:
    minute, second = m.minutes.first, m.seconds.first
    if m.hours.all:
        if not minute and not second:
            return "每小时整点", False
        return f"每小时第 {minute} 分" + (f" {second} 秒" if second else ""), False
    times = _clocks(tuple((hour, minute, second) for hour in m.hours.values))
    if m.hours.cycle:
        return f"从 {times[0]} 起{_rate(m.hours, '小时')}", True
    if m.hours.step:
        return f"{times[0]} 至 {times[-1]} 之间{_rate(m.hours, '小时')}", True
    return _joined(times), False


def _many_minutes(m: Meaning) -> tuple[str, bool]:
    minutes, hours = m.minutes, m.hours
    if not minutes.step:
        return f"{_hours(m)}{_listed(minutes, '分')}", False
    rate = _rate(minutes, "分钟")
    if hours.all:
        return _part(minutes, "分", "每小时") + rate, True
    if minutes.steady or hours.single:
        return _within(m) + rate, True
    return f"{_hours(m)}{_part(minutes, '分', '')}{rate}", True


def _many_seconds(m: Meaning) -> tuple[str, bool]:
    seconds, minutes = m.seconds, m.minutes
    if not seconds.step:
        where = _every_minute(m) if minutes.all else f"{_hours(m)}{_listed(minutes, '分')}的"
        return f"{where}{_listed(seconds, '秒')}", False
    rate = _rate(seconds, "秒")
    if m.hours.single and (minutes.single or (seconds.steady and minutes.step == 1)):
        return _within(m) + rate, True
    if minutes.all and seconds.steady and not m.hours.all:
        return _within(m) + rate, True
    if minutes.all:
        where = _part(seconds, "秒", "每分钟") if m.hours.all else _every_minute(m) + _part(seconds, "秒", "")
        return where + rate, True
    inner = _part(seconds, "秒", "")
    return f"{_hours(m)}{_listed(minutes, '分')}内{'，' + inner if inner else ''}{rate}", True


def _rate(series: Series, unit: str) -> str:
    return f"每{unit}" if series.step == 1 else f"每 {series.step} {unit}"


def _part(series: Series, unit: str, whole: str) -> str:
    """Where in the hour or minute a series lies."""
    if series.all or (series.cycle and not series.first):
        return ""
    if series.cycle and whole:
        return f"从{whole}第 {series.first} {unit}起"
    return f"{whole}第 {series.first} 至 {series.last} {unit}之间"


def _listed(series: Series, unit: str) -> str:
    if series.step > 1 and len(series.values) > 4:
        return f"第 {series.first}、{series.values[1]}、…、{series.last} {unit}"
    return f"第 {_joined([str(a) if a == b else f'{a} 至 {b}' for a, b in runs(series.values)])} {unit}"


def _every_minute(m: Meaning) -> str:
    return "每分钟" if m.hours.all else f"{_within(m)}每分钟"


def _within(m: Meaning) -> str:
    """The stretches of the day, by first and last time where there are few, else by hour."""
    windows = m.windows()
    if len(windows) <= 3:
        return _joined([f"{first} 至 {last}" for first, last in map(_clocks, windows)]) + " 之间"
    return f"{_hour_names(m)}内"


def _hours(m: Meaning) -> str:
    windows = m.windows()
    if m.hours.all:
        return "每小时"
    if len(windows) == 1 and not m.hours.single:
        first, last = _clocks(windows[0])
        return f"{first} 至 {last} 之间每小时"
    return f"{_hour_names(m)}的"


def _hour_names(m: Meaning) -> str:
    hours = m.hours
    if hours.step > 1 and len(hours.values) > 4:
        return f"{hours.first}、{hours.values[1]}、…、{hours.last} 点"
    return f"{_joined([str(a) if a == b else f'{a} 至 {b}' for a, b in runs(hours.values)])} 点"


# ---- days


def _days(m: Meaning) -> str:
    days = m.days
    if not days.by_date and not days.by_weekday:
        year = f"每年 {_months(m.months)}" if m.months else ""
        return f"{year}{'的' if year else ''}每天" if not m.hours.all else year
    dates = _dates(days, m.months) if days.by_date else ""
    if not days.by_weekday:
        return dates
    if not days.by_date:
        return _weekdays(days, m.months, "每年 ")
    if days.either:
        return f"{dates}，以及{_weekdays(days, m.months, ' ')}（满足其一即可）"
    names = [f"周{_WEEK[n]}" for n in sorted(days.weekdays, key=lambda n: n or 7)]
    return f"{dates}（仅当这天是{_joined([*names, *(f'当月{_nth(item)}' for item in days.special_weekdays)], '或')}时）"


def _dates(days: Days, months: tuple[int, ...]) -> str:
    month = f"每年 {_months(months)}" if months else "每月"
    if len(months) > 1:
        month += "的"
    step = even_steps(days.dates)
    if step and not days.special_dates:
        return f"{month}从 {days.dates[0]} 日到 {days.dates[-1]} 日每 {step} 天一次"
    plain = [f"{low} 日" if low == high else f"{low} 日至 {high} 日" for low, high in runs(days.dates)]
    return _spaced(month, _joined([*plain, *(_special_date(item) for item in days.special_dates)]))


def _special_date(item: DayFromEnd | NearestWeekday) -> str:
    match item:
        case DayFromEnd(before=0, weekday=weekday):
            return f"最后一个{_WORKING}" if weekday else "最后一天"
        case DayFromEnd(before=before, weekday=weekday):
            day = f"倒数第 {before + 1} 天"
            return f"最接近{day}的{_WORKING}" if weekday else day
        case NearestWeekday(day=number):
            return f"最接近 {number} 日的{_WORKING}"
        case _:
            assert_never(item)


def _weekdays(days: Days, months: tuple[int, ...], lead: str) -> str:
    month = f"{lead}{_months(months)}的" if months else ""
    parts = []
    if days.weekdays:
        stretches = week_runs(days.weekdays)
        parts.append("每" + _joined([_day(a) if a == b else f"{_day(a)}至{_day(b)}" for a, b in stretches]))
    if days.special_weekdays:
        parts.append(("" if months else "每月") + _joined([_nth(item) for item in days.special_weekdays]))
    return month + "以及".join(parts)


def _nth(item: NthWeekday) -> str:
    return f"{_NTH[item.nth]}{_day(item.weekday)}"


def _day(number: int) -> str:
    return f"周{_WEEK[number]}"


def _months(months: tuple[int, ...]) -> str:
    return _joined([f"{low} 月" if low == high else f"{low} 月至 {high} 月" for low, high in runs(months)])


def _years(years: tuple[int, ...]) -> str:
    if not years:
        return ""
    if step := even_steps(years):
        return f"{years[0]} 年至 {years[-1]} 年每 {step} 年"
    return _joined([f"{low} 年" if low == high else f"{low} 年至 {high} 年" for low, high in runs(years)])
