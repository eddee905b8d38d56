"""Three lines a case: the expression (after `dialect|` where it is not standard), in English, in Chinese."""

from __future__ import annotations

import pytest

from mainspring.core.cron import describe, parse

SENTENCES = """
0 9 15W,L 3 *
  At 09:00 on the working day (Monday to Friday) nearest to the 15th and the last day of March.
  每年 3 月最接近 15 日的工作日（周一至周五）和最后一天 09:00 执行。
* * * * *
  Every minute.
  每分钟执行一次。
*/5 * * * *
  Every 5 minutes.
  每 5 分钟执行一次。
*/7 * * * *
  Every 7 minutes from minute 0 to 56 of every hour.
  每小时第 0 至 56 分之间每 7 分钟执行一次。
3/15 * * * *
  Every 15 minutes, starting at minute 3 of the hour.
  从每小时第 3 分起每 15 分钟执行一次。
10-20 * * * *
  Every minute from minute 10 to 20 of every hour.
  每小时第 10 至 20 分之间每分钟执行一次。
5,35 * * * *
  At minutes 5 and 35 of every hour.
  每小时第 5 和 35 分执行。
30 * * * *
  Every hour at minute 30.
  每小时第 30 分执行。
0 * * * *
  Every hour, on the hour.
  每小时整点执行。
@hourly
  Every hour, on the hour.
  每小时整点执行。
0 */2 * * *
  Every 2 hours, starting at 00:00.
  每天从 00:00 起每 2 小时执行一次。
15 1/2 * * *
  Every 2 hours, starting at 01:15.
  每天从 01:15 起每 2 小时执行一次。
0 */5 * * *
  At 00:00, 05:00, 10:00, 15:00 and 20:00 every day.
  每天 00:00、05:00、10:00、15:00 和 20:00 执行。
0 */7 * * *
  At 00:00, 07:00, 14:00 and 21:00 every day.
  每天 00:00、07:00、14:00 和 21:00 执行。
0 8-22/2 * * *
  Every 2 hours from 08:00 to 22:00 every day.
  每天 08:00 至 22:00 之间每 2 小时执行一次。
0 9-17 * * *
  Every hour from 09:00 to 17:00 every day.
  每天 09:00 至 17:00 之间每小时执行一次。
30 9-17 * * 1-5
  Every hour from 09:30 to 17:30, Monday to Friday.
  每周一至周五 09:30 至 17:30 之间每小时执行一次。
0 9 * * 1-5
  At 09:00, Monday to Friday.
  每周一至周五 09:00 执行。
0 9 * * *
  At 09:00 every day.
  每天 09:00 执行。
30 9,17 * * *
  At 09:30 and 17:30 every day.
  每天 09:30 和 17:30 执行。
0,30 9,17 * * *
  At 09:00, 09:30, 17:00 and 17:30 every day.
  每天 09:00、09:30、17:00 和 17:30 执行。
0 0,6,12,18 * * *
  Every 6 hours, starting at 00:00.
  每天从 00:00 起每 6 小时执行一次。
*/15 9-17 * * 1-5
  Every 15 minutes from 09:00 to 17:45, Monday to Friday.
  每周一至周五 09:00 至 17:45 之间每 15 分钟执行一次。
*/15 9 * * *
  Every 15 minutes from 09:00 to 09:45 every day.
  每天 09:00 至 09:45 之间每 15 分钟执行一次。
*/15 9,12,18 * * *
  Every 15 minutes from 09:00 to 09:45, from 12:00 to 12:45 and from 18:00 to 18:45 every day.
  每天 09:00 至 09:45、12:00 至 12:45 和 18:00 至 18:45 之间每 15 分钟执行一次。
*/15 */2 * * *
  Every 15 minutes in every 2nd hour (0, 2, …, 22).
  每天 0、2、…、22 点内每 15 分钟执行一次。
5,35 9-17 * * *
  At minutes 5 and 35 of every hour from 09:05 to 17:35 every day.
  每天 09:05 至 17:35 之间每小时第 5 和 35 分执行。
5,35 1,2,7 * * *
  At 01:05, 01:35, 02:05, 02:35, 07:05 and 07:35 every day.
  每天 01:05、01:35、02:05、02:35、07:05 和 07:35 执行。
10-20 9-17 * * *
  Every minute from minute 10 to 20 of every hour from 09:10 to 17:20 every day.
  每天 09:10 至 17:20 之间每小时第 10 至 20 分之间每分钟执行一次。
10-40/10 9-17 * * *
  Every 10 minutes from minute 10 to 40 of every hour from 09:10 to 17:40 every day.
  每天 09:10 至 17:40 之间每小时第 10 至 40 分之间每 10 分钟执行一次。
*/7 9-17 * * 1
  Every 7 minutes from minute 0 to 56 of every hour from 09:00 to 17:56 on Mondays.
  每周一 09:00 至 17:56 之间每小时第 0 至 56 分之间每 7 分钟执行一次。
* 2 * * *
  Every minute from 02:00 to 02:59 every day.
  每天 02:00 至 02:59 之间每分钟执行一次。
* 9-17 * * *
  Every minute from 09:00 to 17:59 every day.
  每天 09:00 至 17:59 之间每分钟执行一次。
* 9,12,18 * * *
  Every minute from 09:00 to 09:59, from 12:00 to 12:59 and from 18:00 to 18:59 every day.
  每天 09:00 至 09:59、12:00 至 12:59 和 18:00 至 18:59 之间每分钟执行一次。
* */3 * * *
  Every minute in every 3rd hour (0, 3, …, 21).
  每天 0、3、…、21 点内每分钟执行一次。
17 4,9,11,13,15,16,19 * * *
  At 04:17, 09:17, 11:17, 13:17, 15:17, 16:17 and 19:17 every day.
  每天 04:17、09:17、11:17、13:17、15:17、16:17 和 19:17 执行。
*/10 * * * * *
  Every 10 seconds.
  每 10 秒执行一次。
* * * * * *
  Every second.
  每秒执行一次。
*/7 * * * * *
  Every 7 seconds from second 0 to 56 of every minute.
  每分钟第 0 至 56 秒之间每 7 秒执行一次。
5,35 * * * * *
  At seconds 5 and 35 of every minute.
  每分钟第 5 和 35 秒执行。
30 */5 * * * *
  Every 5 minutes, at second 30.
  每 5 分钟的第 30 秒执行。
30 * * * * *
  Every minute, at second 30.
  每分钟的第 30 秒执行。
15 30 * * * *
  Every hour at minute 30 and second 15.
  每小时第 30 分 15 秒执行。
30 0 9 * * *
  At 09:00:30 every day.
  每天 09:00:30 执行。
*/10 0 9 * * *
  Every 10 seconds from 09:00:00 to 09:00:50 every day.
  每天 09:00:00 至 09:00:50 之间每 10 秒执行一次。
*/10 30 * * * *
  Every 10 seconds during minute 30 of every hour.
  每小时第 30 分内每 10 秒执行一次。
*/10 */5 * * * *
  Every 10 seconds during every 5th minute (0, 5, …, 55) of every hour.
  每小时第 0、5、…、55 分内每 10 秒执行一次。
*/10 5,35 9-17 * * *
  Every 10 seconds during minutes 5 and 35 of every hour from 09:05:00 to 17:35:50 every day.
  每天 09:05:00 至 17:35:50 之间每小时第 5 和 35 分内每 10 秒执行一次。
*/10 * 9-17 * * *
  Every 10 seconds from 09:00:00 to 17:59:50 every day.
  每天 09:00:00 至 17:59:50 之间每 10 秒执行一次。
* 10-20 9 * * *
  Every second from 09:10:00 to 09:20:59 every day.
  每天 09:10:00 至 09:20:59 之间每秒执行一次。
15,45 30 9 * * *
  At 09:30:15 and 09:30:45 every day.
  每天 09:30:15 和 09:30:45 执行。
15,45 0,30 9 * * 1-5
  At 09:00:15, 09:00:45, 09:30:15 and 09:30:45, Monday to Friday.
  每周一至周五 09:00:15、09:00:45、09:30:15 和 09:30:45 执行。
0 0 1 * *
  At 00:00 on the 1st of every month.
  每月 1 日 00:00 执行。
0 0 1,15 * *
  At 00:00 on the 1st and 15th of every month.
  每月 1 日和 15 日 00:00 执行。
0 0 1-7 * *
  At 00:00 on each day from the 1st to the 7th of every month.
  每月 1 日至 7 日 00:00 执行。
0 0 */2 * *
  At 00:00 on every 2nd day from the 1st to the 31st of every month.
  每月从 1 日到 31 日每 2 天一次，00:00 执行。
0 0 1,15 * 1
  At 00:00 on the 1st and 15th of every month and also on every Monday (either is enough).
  每月 1 日和 15 日，以及每周一（满足其一即可），00:00 执行。
0 0 */2 * 1
  At 00:00 on every 2nd day from the 1st to the 31st of every month, but only if it is a Monday.
  每月从 1 日到 31 日每 2 天一次（仅当这天是周一时），00:00 执行。
0 0 13 * */5
  At 00:00 on the 13th of every month, but only if it is a Friday or a Sunday.
  每月 13 日（仅当这天是周五或周日时），00:00 执行。
0 9 * 6 *
  At 09:00 every day in June.
  每年 6 月的每天 09:00 执行。
0 9 1 6 *
  At 09:00 on the 1st of June.
  每年 6 月 1 日 09:00 执行。
0 9 1 6-8 *
  At 09:00 on the 1st of every month from June to August.
  每年 6 月至 8 月的 1 日 09:00 执行。
0 9 1 */3 *
  At 09:00 on the 1st of January, April, July and October.
  每年 1 月、4 月、7 月和 10 月的 1 日 09:00 执行。
0 9 * 6-8 1
  At 09:00 every Monday from June to August.
  每年 6 月至 8 月的每周一 09:00 执行。
*/5 * * 6 *
  Every 5 minutes in June.
  每年 6 月，每 5 分钟执行一次。
*/5 * * * 1,3,5
  Every 5 minutes on Mondays, Wednesdays and Fridays.
  每周一、周三和周五，每 5 分钟执行一次。
0 9 * * 1
  At 09:00 every Monday.
  每周一 09:00 执行。
0 9 * * 6,0
  At 09:00 every Saturday and Sunday.
  每周六和周日 09:00 执行。
0 9 * * 5-7
  At 09:00, Friday to Sunday.
  每周五至周日 09:00 执行。
0 9 L * *
  At 09:00 on the last day of every month.
  每月最后一天 09:00 执行。
0 9 LW * *
  At 09:00 on the last working day (Monday to Friday) of every month.
  每月最后一个工作日（周一至周五），09:00 执行。
0 9 L-3 * *
  At 09:00 on the day 3 days before the last day of every month.
  每月倒数第 4 天 09:00 执行。
0 9 L-1 * *
  At 09:00 on the last day but one of every month.
  每月倒数第 2 天 09:00 执行。
0 9 15W * *
  At 09:00 on the working day (Monday to Friday) nearest to the 15th of every month.
  每月最接近 15 日的工作日（周一至周五），09:00 执行。
0 9 1,L * *
  At 09:00 on the 1st and the last day of every month.
  每月 1 日和最后一天 09:00 执行。
0 9 * * 5L
  At 09:00 on the last Friday of every month.
  每月最后一个周五 09:00 执行。
0 9 * * 2#2
  At 09:00 on the second Tuesday of every month.
  每月第二个周二 09:00 执行。
0 9 * * 1#1,1#3
  At 09:00 on the first Monday and the third Monday of every month.
  每月第一个周一和第三个周一 09:00 执行。
0 9 * 6 2#2
  At 09:00 on the second Tuesday of June.
  每年 6 月的第二个周二 09:00 执行。
0 9 * * 1,5L
  At 09:00 every Monday and on the last Friday of every month.
  每周一以及每月最后一个周五 09:00 执行。
0 9 1 * 5L
  At 09:00 on the 1st of every month and also on the last Friday of every month (either is enough).
  每月 1 日，以及每月最后一个周五（满足其一即可），09:00 执行。
0 9 13 6 5
  At 09:00 on the 13th of June and also on every Friday in June (either is enough).
  每年 6 月 13 日，以及 6 月的每周五（满足其一即可），09:00 执行。
0 0 9 * * * 2026
  At 09:00 every day in 2026.
  2026 年，每天 09:00 执行。
0 0 9 1 1 * 2026-2030
  At 09:00 on the 1st of January from 2026 to 2030.
  2026 年至 2030 年，每年 1 月 1 日 09:00 执行。
0 0 9 * * 1-5 2026,2028
  At 09:00, Monday to Friday in 2026 and 2028.
  2026 年和 2028 年，每周一至周五 09:00 执行。
0 0 9 1 1 * 2020-2040/10
  At 09:00 on the 1st of January in 2020, 2030 and 2040.
  2020 年、2030 年和 2040 年，每年 1 月 1 日 09:00 执行。
0 */5 * * * * 2026
  Every 5 minutes in 2026.
  2026 年，每 5 分钟执行一次。
0 9 29 2 *
  At 09:00 on the 29th of February.
  每年 2 月 29 日 09:00 执行。
@every 90s
  Every 1 minute and 30 seconds, counted from when the schedule was created or last changed.
  每隔 1 分钟 30 秒执行一次，从创建或最近一次修改时起算。
@every 1h
  Every hour, counted from when the schedule was created or last changed.
  每隔 1 小时执行一次，从创建或最近一次修改时起算。
@every 1h30m
  Every 1 hour and 30 minutes, counted from when the schedule was created or last changed.
  每隔 1 小时 30 分钟执行一次，从创建或最近一次修改时起算。
@every 1.5s
  Every 1.5 seconds, counted from when the schedule was created or last changed.
  每隔 1.5 秒执行一次，从创建或最近一次修改时起算。
CRON_TZ=Europe/Berlin 0 9 * * 1-5
  At 09:00, Monday to Friday, Europe/Berlin time.
  每周一至周五 09:00 执行（Europe/Berlin 时间）。
0 9 1-31 * 1
  At 09:00 every day.
  每天 09:00 执行。
0 0 31 2 0
  At 00:00 on the 31st of February and also on every Sunday in February (either is enough).
  每年 2 月 31 日，以及 2 月的每周日（满足其一即可），00:00 执行。
59 23 31 12 *
  At 23:59 on the 31st of December.
  每年 12 月 31 日 23:59 执行。
quartz|0 0 12 ? * 2-6
  At 12:00, Monday to Friday.
  每周一至周五 12:00 执行。
quartz|0 0 12 L * ?
  At 12:00 on the last day of every month.
  每月最后一天 12:00 执行。
quartz|0 0 12 ? * 6#3
  At 12:00 on the third Friday of every month.
  每月第三个周五 12:00 执行。
quartz|0 0 22-2 * * ?
  At 00:00, 01:00, 02:00, 22:00 and 23:00 every day.
  每天 00:00、01:00、02:00、22:00 和 23:00 执行。
quartz|0 0/5 14,18 * * ?
  Every 5 minutes from 14:00 to 14:55 and from 18:00 to 18:55 every day.
  每天 14:00 至 14:55 和 18:00 至 18:55 之间每 5 分钟执行一次。
quartz|0 0 9 ? * FRI-MON
  At 09:00, Friday to Monday.
  每周五至周一 09:00 执行。
nodeget|0 30 9 1 * 2
  At 09:30 on the 1st of every month, but only if it is a Monday, UTC.
  每月 1 日（仅当这天是周一时），09:30 执行（UTC 时间）。
nodeget|*/10 * * * * *
  Every 10 seconds, UTC.
  每 10 秒执行一次（UTC 时间）。
go-crontab|0 30 2 * * *
  At 02:30 every day.
  每天 02:30 执行。
go-crontab|30 2 * * *
  Every hour at minute 2 and second 30.
  每小时第 2 分 30 秒执行。
*/10 0,30 9,17 * * 1
  Every 10 seconds during minutes 0 and 30 of the hours 9 and 17 on Mondays.
  每周一 9 和 17 点的第 0 和 30 分内每 10 秒执行一次。
7/10 * * * * *
  Every 10 seconds, starting at second 7 of the minute.
  从每分钟第 7 秒起每 10 秒执行一次。
quartz|0 0 0 L-3W * ?
  At 00:00 on the working day (Monday to Friday) nearest to the day 3 days before the last day of every month.
  每月最接近倒数第 4 天的工作日（周一至周五），00:00 执行。
2-58/7 3 * * *
  Every 7 minutes from 03:02 to 03:58 every day.
  每天 03:02 至 03:58 之间每 7 分钟执行一次。
5-20 8,20 * * *
  Every minute from minute 5 to 20 of the hours 8 and 20 every day.
  每天 8 和 20 点的第 5 至 20 分之间每分钟执行一次。
0 0 1-5,20 1,3,5-8 *
  At 00:00 on the 1st to 5th and 20th of January, March and May to August.
  每年 1 月、3 月和 5 月至 8 月的 1 日至 5 日和 20 日 00:00 执行。
0 0 9 * * 1 2026-2040/2
  At 09:00 every Monday in every 2nd year from 2026 to 2040.
  2026 年至 2040 年每 2 年，每周一 09:00 执行。
CRON_TZ=UTC @daily
  At 00:00 every day, UTC.
  每天 00:00 执行（UTC 时间）。
"""
LINES = SENTENCES.strip().split("\n")
CASES = list(zip(LINES[::3], LINES[1::3], LINES[2::3], strict=True))


@pytest.mark.parametrize(("written", "english", "chinese"), CASES)
def test_it_reads_well(written: str, english: str, chinese: str) -> None:
    dialect, _, text = written.rpartition("|")
    expr = parse(text, dialect or "standard")
    assert describe(expr, "en") == english.strip()
    assert describe(expr, "zh") == chinese.strip()


def test_it_names_the_zone() -> None:
    expr = parse("0 9 * * 1-5")
    assert describe(expr, "en", "America/New_York") == "At 09:00, Monday to Friday, America/New_York time."
    assert describe(expr, "zh", "America/New_York") == "每周一至周五 09:00 执行（America/New_York 时间）。"
    assert describe(expr, "en", "UTC") == "At 09:00, Monday to Friday, UTC."


def test_nodeget_is_always_utc() -> None:
    assert describe(parse("0 0 9 * * *", "nodeget"), "en", "Asia/Tokyo") == "At 09:00 every day, UTC."


def test_a_list_says_the_same_as_the_range_it_spells_out() -> None:
    assert describe(parse("0 9 * * 1,2,3,4,5"), "en") == describe(parse("0 9 * * MON-FRI"), "en")
    assert describe(parse("0,15,30,45 * * * *"), "zh") == describe(parse("*/15 * * * *"), "zh")
