-- What the crontab door keeps of a schedule made there. `type` and `start_time` are as they were given; the schedule
-- does not fire before `starts_at`. `superseded_at`: since when a newer task has had the name.
CREATE TABLE crontab_tasks (
  schedule_id bigint PRIMARY KEY,
  project     text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  module      bigint NOT NULL,
  type        bigint NOT NULL,
  start_time  text NOT NULL,
  starts_at   bigint,
  superseded_at bigint
) WITH (fillfactor = 90);

-- Of all that have had a name, one has it.
CREATE UNIQUE INDEX crontab_names ON crontab_tasks (project, name) WHERE superseded_at IS NULL;
CREATE INDEX crontab_by_name ON crontab_tasks (project, name, schedule_id);
CREATE INDEX crontab_single ON crontab_tasks (schedule_id) WHERE type = 1;
CREATE INDEX crontab_starting ON crontab_tasks (schedule_id) WHERE starts_at IS NOT NULL;
