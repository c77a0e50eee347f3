# Who is told when the platform itself fails. What a DAG notices it tells itself, by the same topic.

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_subscription" "email" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.email
}

resource "aws_sns_topic_subscription" "pager" {
  count     = var.pager_endpoint == null ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "https"
  endpoint  = var.pager_endpoint
}

locals {
  # Metrics of the namespace AmazonMWAA; `of` are their dimensions beside the environment, `absent` is
  # what no data means: a dead scheduler sends none.
  alarms = {
    dead-scheduler = {
      metric  = "SchedulerHeartbeat"
      of      = { Function = "Scheduler" }
      text    = "The scheduler sends no heartbeat: nothing is started. Look at the log group of the scheduler."
      compare = "LessThanThreshold", statistic = "Sum", threshold = 1, period = 300, periods = 2
      absent  = "breaching"
    }
    queue-grows = {
      metric  = "QueuedTasks"
      of      = { Function = "Executor" }
      text    = "Tasks wait for workers: raise max_workers or look for tasks that hang."
      compare = "GreaterThanThreshold", statistic = "Minimum", threshold = 20, period = 300, periods = 6
      absent  = "notBreaching"
    }
    import-errors = {
      metric  = "ImportErrors"
      of      = { Function = "DAG Processing" }
      text    = "A DAG file does not import; the list of DAGs shows which, or roll back."
      compare = "GreaterThanThreshold", statistic = "Maximum", threshold = 0, period = 300, periods = 2
      absent  = "notBreaching"
    }
    failed-tasks = {
      metric  = "TaskInstanceFailures"
      of      = { DAG = "All", Task = "All" }
      text    = "Tasks failed; the alert of the DAG says which and why."
      compare = "GreaterThanThreshold", statistic = "Sum", threshold = 0, period = 300, periods = 1
      absent  = "notBreaching"
    }
  }

  # The DAGs that run each day, and whose run of a day is missed when there is none within 25 hours.
  daily = ["ingest_files", "ingest_apis", "transform"]
}

resource "aws_cloudwatch_metric_alarm" "platform" {
  for_each            = local.alarms
  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = "AmazonMWAA"
  metric_name         = each.value.metric
  dimensions          = merge({ Environment = local.name }, each.value.of)
  comparison_operator = each.value.compare
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.absent
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "failed_run" {
  for_each            = toset(local.daily)
  alarm_name          = "${local.name}-${each.key}-failed"
  alarm_description   = "A run of ${each.key} failed; see its runbook in docs/runbooks."
  namespace           = "AmazonMWAA"
  metric_name         = "DAGDurationFailed"
  dimensions          = { Environment = local.name, DAG = each.key }
  comparison_operator = "GreaterThanThreshold"
  statistic           = "SampleCount"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "missed_schedule" {
  for_each            = toset(local.daily)
  alarm_name          = "${local.name}-${each.key}-missed"
  alarm_description   = "${each.key} has not succeeded within a day: is it paused, or is its run still at work?"
  namespace           = "AmazonMWAA"
  metric_name         = "DAGDurationSuccess"
  dimensions          = { Environment = local.name, DAG = each.key }
  comparison_operator = "LessThanThreshold"
  statistic           = "SampleCount"
  threshold           = 1
  period              = 86400
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
}
