// Written by build/api.py from the commands' signatures in Python. Do not edit.
import type { Call, CallOptions, Stream } from "./bridge";

/** An agent as it is stored. Its label is never empty: where none was given it is the name. */
export interface AgentRow {
  name: string;
  /** length ≤ 100 */
  label: string;
  /** length ≤ 32 */
  icon: string;
  /** length ≤ 200000 */
  instructions: string;
  model: string | null;
  /** length ≤ 10 */
  fallback_models: string[];
  temperature: number | null;
  max_output_tokens: number | null;
  reasoning_effort: "high" | "low" | "medium" | "minimal" | null;
  output_schema: Record<string, unknown> | null;
  /** ≥ 1, ≤ 1000 */
  step_limit: number;
  tools: string[] | null;
  /** length ≤ 50 */
  subagents: string[];
  limits: AgentLimits;
  is_active: boolean;
  id: number;
}

/** An agent's limits: of each of its runs, and of all of them together in a day and in a month. */
export interface AgentLimits {
  run: RunLimit;
  day: Limit;
  month: Limit;
}

/** The most that one run may use. `seconds` are those it works, not those it waits for the user. */
export interface RunLimit {
  cost_nano_usd: number | null;
  tokens: number | null;
  seconds: number | null;
  tool_calls: number | null;
}

/** The most that may be used. None is no limit, 0 is nothing at all. Tokens of all classes count alike. */
export interface Limit {
  cost_nano_usd: number | null;
  tokens: number | null;
}

/** A new agent; what is left out is as in a new one. */
export interface CreateAgentInput {
  name: string;
  /** length ≤ 100 */
  label?: string;
  /** length ≤ 32 */
  icon?: string;
  /** length ≤ 200000 */
  instructions?: string;
  model?: string | null;
  /** length ≤ 10 */
  fallback_models?: string[];
  temperature?: number | null;
  max_output_tokens?: number | null;
  reasoning_effort?: "high" | "low" | "medium" | "minimal" | null;
  output_schema?: Record<string, unknown> | null;
  /** ≥ 1, ≤ 1000 */
  step_limit?: number;
  tools?: string[] | null;
  /** length ≤ 50 */
  subagents?: string[];
  limits?: AgentLimitsInput;
  is_active?: boolean;
}

/** An agent's limits: of each of its runs, and of all of them together in a day and in a month. */
export interface AgentLimitsInput {
  run?: RunLimitInput;
  day?: LimitInput;
  month?: LimitInput;
}

/** The most that one run may use. `seconds` are those it works, not those it waits for the user. */
export interface RunLimitInput {
  cost_nano_usd?: number | null;
  tokens?: number | null;
  seconds?: number | null;
  tool_calls?: number | null;
}

/** The most that may be used. None is no limit, 0 is nothing at all. Tokens of all classes count alike. */
export interface LimitInput {
  cost_nano_usd?: number | null;
  tokens?: number | null;
}

/** Only what is present is changed. */
export interface ChangeAgentInput {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  name?: string;
  /** length ≤ 100 */
  label?: string;
  /** length ≤ 32 */
  icon?: string;
  /** length ≤ 200000 */
  instructions?: string;
  model?: string | null;
  /** length ≤ 10 */
  fallback_models?: string[];
  temperature?: number | null;
  max_output_tokens?: number | null;
  reasoning_effort?: "high" | "low" | "medium" | "minimal" | null;
  output_schema?: Record<string, unknown> | null;
  /** ≥ 1, ≤ 1000 */
  step_limit?: number;
  tools?: string[] | null;
  /** length ≤ 50 */
  subagents?: string[];
  limits?: AgentLimitsInput;
  is_active?: boolean;
}

export interface AgentId {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
}

export interface AllowedTool {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** length ≥ 1, length ≤ 200 */
  tool: string;
}

export interface NamedAgent {
  name: string;
}

/** The text of an agent's file. */
export interface ExportedAgent {
  json: string;
}

/** None when the user closed the dialog without choosing. */
export interface SavedFile {
  path: string | null;
}

/** None when the user closed the dialog without choosing. */
export interface OpenedFile {
  found: AgentToImport | null;
}

/** A file's text, what it calls the agent, and a name that is free: the same one where it is. */
export interface AgentToImport {
  json: string;
  name: string;
  free_name: string;
}

/**
 * `name` None is the one in the file. `on_conflict` says what to do where the name is taken: give the new
 * one another name, put it in the place of the old one, or refuse with a Conflict.
 */
export interface ImportAgentInput {
  /** length ≤ 3000000 */
  json: string;
  name?: string | null;
  on_conflict?: "refuse" | "rename" | "replace";
}

/** `notes` are sentences that the user should read: what is missing here, what was taken out. */
export interface ImportedAgent {
  agent: AgentRow;
  notes: string[];
}

export interface PreviewInstructions {
  /** length ≤ 200000 */
  instructions: string;
}

/** `text` is what the model would get now. `unknown` are names in {{ }} that stand for nothing. */
export interface PreviewedInstructions {
  text: string;
  unknown: string[];
}

/** Since the last midnight, and since the first of the month. */
export interface SpentSoFar {
  day: Spent;
  month: Spent;
}

/** What was used since a moment. Of `unknown_calls` the price is not known; they are not in the cost. */
export interface Spent {
  cost_nano_usd: number;
  tokens: number;
  unknown_calls: number;
}

/**
 * `needs_start` is True until the user has chosen how to begin (a key, a server, the small model).
 *
 * `drags_files`: the window can hand on files that are dragged out of it.
 * `default_model` is what a new conversation would use now: the setting, else DESKSIDE_MODEL, else
 * the first that is configured; None when nothing is. `trouble`: why nothing can be saved. `rescued`:
 * what a rescue at the start has done, until the user has seen it.
 */
export interface AppState {
  version: string;
  platform: string;
  data_folder: string;
  settings: Settings;
  default_model: string | null;
  needs_start: boolean;
  draft: string;
  last_event: number;
  trouble: Trouble | null;
  rescued: Rescued | null;
  drags_files: boolean;
}

/**
 * All settings with their defaults. A base URL of None leaves it to the SDK's own variable
 * (`OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`), else to the provider's address.
 *
 * `device_model` is the path of the GGUF file to run; None means the bundled small model. `user_name` is
 * what agents call the user; `limits` hold for all agents together; at most `max_runs` runs work at once.
 * `folders` are granted in a dialog of the system or from the terminal: `settings.change` takes none.
 * `is_offline` closes the way out of this machine (network/switch.py): `settings.change` does not take it.
 * `names_conversations` lets the model of a new conversation give it a title, which is one more model call.
 * `records_runs`: what runs ask, say and do is recorded, and kept for `recordings_days`, or until all
 * recordings take more than `recordings_mb` (10⁶ bytes); the oldest go first. `sentry_dsn` is where failures
 * are reported to (error_reports.py); empty, they are not.
 * `looks_for_updates`: once a day Deskside looks whether there is a newer one.
 * `notifies`: the desktop is told when an answer ends or waits while the window is not in front, and shows
 * `notification_text` of it. `closes_to_tray`: closing the window hides it where there is a tray.
 */
export interface Settings {
  theme: "dark" | "light" | "system";
  language: "en";
  default_model: string | null;
  servers: Server[];
  openai_base_url: string | null;
  anthropic_base_url: string | null;
  device_model: string | null;
  folders: GrantedFolder[];
  has_chosen_start: boolean;
  user_name: string;
  fields: Field[];
  limits: Limits;
  max_runs: number;
  names_conversations: boolean;
  is_offline: boolean;
  records_runs: boolean;
  recordings_days: number;
  recordings_mb: number;
  sentry_dsn: string;
  looks_for_updates: boolean;
  notifies: boolean;
  notification_text: "answer" | "nothing" | "title";
  closes_to_tray: boolean;
  /** ≥ 50, ≤ 300 */
  zoom_percent: number;
}

/**
 * An OpenAI-compatible server. `id` is the provider part of its models' names; the first one is
 * called `local`. `base_url` includes the `/v1`. `is_free`: the user says that its answers cost nothing.
 */
export interface Server {
  id: string;
  /** length ≥ 1, length ≤ 100 */
  label: string;
  /** length ≤ 2000 */
  base_url: string;
  is_free: boolean;
}

/**
 * A folder whose files the assistant may read, and write where `can_write` says so. `path` is whole, and
 * was resolved when the user granted it: it holds no link.
 */
export interface GrantedFolder {
  path: string;
  can_write: boolean;
}

/** What `{{name}}` in an agent's instructions stands for. */
export interface Field {
  name: string;
  /** length ≤ 4000 */
  value: string;
}

/** The limits of all agents together. Days and months are those of the calendar on the wall. */
export interface Limits {
  day: Limit;
  month: Limit;
}

/** Why nothing can be saved now: `code` as in errors.py. `is_lasting`: until the program starts again. */
export interface Trouble {
  code: string;
  message: string;
  hint: string;
  is_lasting: boolean;
}

/**
 * A rescue that takes effect at the next start, or has. `kept` is the folder for the damaged files,
 * `kept_files` how many attached files are there then because no message that is left refers to them.
 */
export interface Rescued {
  findings: Findings;
  kept: string;
  at_ms: number;
  kept_files: number;
}

/** A rescue as it is told: a line for each kind of thing that a user knows, and one for all else. */
export interface Findings {
  lines: RescuedTable[];
  is_whole: boolean;
  is_without_wal: boolean;
}

/**
 * `rescued` rows are as they were; `rebuilt` ones were put together from what refers to them; `lost` ones
 * are gone. `may_be_more`: a part is damaged that nothing says the size of.
 */
export interface RescuedTable {
  name: string;
  rescued: number;
  rebuilt: number;
  lost: number;
  may_be_more: boolean;
}

/** None is the conversation that does not exist yet. */
export interface DraftOf {
  conversation_id: number | null;
}

/**
 * A file that is put to a question. `text_status` says whether there is text for models that do not take
 * the file itself; `text_error` why there is none, `hidden_characters` how many invisible ones in it are
 * kept from models.
 */
export interface AttachmentRow {
  id: number;
  name: string;
  media_type: string;
  size_bytes: number;
  sha256: string;
  text_status: "failed" | "none" | "ready" | "waiting";
  text_error: string;
  hidden_characters: number;
}

export interface AttachmentId {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
}

/** At most `limit` characters from `start` on: all of a long text would hold the socket up. */
export interface TextOfInput {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** ≥ 0, ≤ 2147483648 */
  start?: number;
  /** ≥ 1, ≤ 500000 */
  limit?: number;
}

/** A piece of a text. `next` is where the next one begins; None behind the last. */
export interface AttachmentText {
  text: string;
  next: number | null;
}

/**
 * The newest first. `is_encrypted` says how the next is made; `pending` that one is to be restored at the
 * next start. `can_move` the data folder; `moved_to` is where the next start finds it, `moved_from` the old
 * one that is still there.
 */
export interface BackupList {
  folder: string;
  backups: BackupRow[];
  is_encrypted: boolean;
  pending: boolean;
  job: Job | null;
  can_move: boolean;
  moved_to: string | null;
  moved_from: string | null;
}

/**
 * One backup. `state`: `whole` as far as its size says, `gone` or `damaged` where its database is not
 * what the manifest says, `unreadable` where the manifest itself is not (then only the name is known).
 */
export interface BackupRow {
  name: string;
  state: "damaged" | "gone" | "unreadable" | "whole";
  kind: "before_migration" | "before_restore" | "daily" | "manual" | null;
  made_ms: number;
  size_bytes: number;
  conversations: number;
  messages: number;
  files: number;
  missing_files: number;
  is_encrypted: boolean;
}

/** What is done at the moment and how much of that is done, from 0 to 1; 0 where nobody can tell. */
export interface Job {
  work: "backup" | "check" | "move" | "preview" | "vacuum";
  phase: "checking" | "comparing" | "copying" | "decrypting" | "encrypting" | "files" | "updating" | "vacuum";
  part: number;
}

/** `elsewhere` asks the user for a folder, such as one on another disk. */
export interface MakeBackupInput {
  elsewhere?: boolean;
}

/** `folder` None: the user chose none, and nothing was made. */
export interface BackupMade {
  folder: string | null;
  missing_files: number;
}

export interface NamedBackup {
  name: string;
}

/** None makes them in the clear again. */
export interface EncryptBackups {
  passphrase: string | null;
}

/**
 * A backup of the list, or None for a file that the user is asked for; `again` is the file that was
 * chosen last, now with its passphrase.
 */
export interface PreviewRestoreInput {
  name?: string | null;
  again?: boolean;
  passphrase?: string | null;
}

/** None: the user closed the dialog. */
export interface RestoreChoice {
  preview: Preview | null;
}

/**
 * A backup that was prepared, and what restoring it would change. `made_ms` and `kind` are None for a
 * database without a manifest. `missing_files` counts attached files that are neither here nor there.
 */
export interface Preview {
  source: string;
  made_ms: number | null;
  kind: string | null;
  schema: number;
  newest_schema: number;
  size_bytes: number;
  missing_files: number;
  comparison: Comparison;
}

/**
 * `only_here` would be gone, `only_in_backup` would come back, `changed` would be as they were. `here` is
 * None, and nothing is compared, where the data cannot be read. `allows` are the programs that the backup
 * would start, and the folders it would let the assistant use, that are not so here: the user was not asked
 * about those here.
 */
export interface Comparison {
  backup: Counts;
  here: Counts | null;
  only_here: Difference;
  only_in_backup: Difference;
  changed: Difference;
  allows: string[];
}

/** How much there is. Conversations in the trash, and deleted agents, are not counted. */
export interface Counts {
  conversations: number;
  messages: number;
  files: number;
  agents: number;
  memories: number;
}

/** Conversations of one sort: how many, and the titles of the last used. */
export interface Difference {
  count: number;
  titles: string[];
}

/** Whether the user said yes. It takes effect at the next start. */
export interface RestoreAnswer {
  confirmed: boolean;
}

/**
 * Bytes. `unused_bytes` of the database are given back to the disk by a vacuum; `wal_bytes` are what was
 * written since the last checkpoint. `is_estimate`: this SQLite cannot tell the bytes of tables, and they
 * are worked out from a sample.
 */
export interface Statistics {
  tables: TableSize[];
  is_estimate: boolean;
  database_bytes: number;
  unused_bytes: number;
  wal_bytes: number;
  files_bytes: number;
  backups_bytes: number;
  free_bytes: number;
}

/** `bytes` with its indexes; of a search index, with all that belongs to it. */
export interface TableSize {
  name: string;
  rows: number;
  bytes: number;
}

/** The size of the database before and after. */
export interface Vacuumed {
  before_bytes: number;
  after_bytes: number;
}

/** `folder` None: the user chose none. */
export interface MovedData {
  folder: string | null;
}

/** A place, and there one folder or tag, or all. */
export interface PageConversationsInput {
  cursor?: string | null;
  /** ≥ 1, ≤ 200 */
  limit?: number;
  place?: "archived" | "deleted" | "listed";
  folder_id?: number | null;
  tag?: string | null;
}

/** The last used first. `next_cursor` goes into the next call; None at the end. */
export interface ConversationPage {
  conversations: ConversationRow[];
  next_cursor: string | null;
}

/**
 * One line of the list. `model` is `provider/model`, None while the default is used. `agent` is the name
 * of who answers. `is_waiting`: a tool call, a pause or a server's question in it waits for the user.
 * `deleted_ms` is when it went to the trash, which keeps it for DAYS_IN_TRASH days.
 *
 * `is_running`, and that a server asks, are not stored: the runner knows them (`Runs.with_live`).
 */
export interface ConversationRow {
  id: number;
  title: string;
  model: string | null;
  draft: string;
  created_ms: number;
  updated_ms: number;
  agent: string;
  is_waiting: boolean;
  folder_id: number | null;
  is_pinned: boolean;
  is_archived: boolean;
  deleted_ms: number | null;
  tags: string[];
  is_running: boolean;
}

export interface ConversationId {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
}

export interface RenameConversation {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** length ≥ 1, length ≤ 200 */
  title: string;
}

export interface SetConversationModel {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** length ≤ 300 */
  model: string;
}

export interface SetConversationAgent {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  agent: string;
}

/** The message that the new conversation ends with. */
export interface ForkConversation {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
}

export interface ChangeConversationsInput {
  /** length ≥ 1, length ≤ 1000 */
  ids: number[];
  changes: ConversationChangesInput;
}

/** What is left out stays. `folder_id` None takes them out of their folder. */
export interface ConversationChangesInput {
  is_pinned?: boolean;
  is_archived?: boolean;
  folder_id?: number | null;
  add_tags?: string[];
  remove_tags?: string[];
}

export interface ConversationIds {
  /** length ≥ 1, length ≤ 1000 */
  ids: number[];
}

/** `id` None is the draft of the conversation that does not exist yet. */
export interface SaveDraft {
  id: number | null;
  /** length ≤ 2000000 */
  text: string;
}

export interface OpenLink {
  /** length ≤ 8000 */
  url: string;
}

export interface ChooseFile {
  /** length ≤ 200 */
  title: string;
  endings: string[];
}

/** None when the user closed the dialog without choosing. */
export interface ChosenFile {
  path: string | null;
}

/**
 * What this desktop and this window can do together. `tray`: one is `there`, the desktop has `none`, or
 * the window cannot use one. `notifies`: the desktop can be asked to show notifications.
 * `starts_at_login`: None where Deskside cannot see to that.
 */
export interface Integration {
  tray: "none" | "there" | "unsupported";
  notifies: boolean;
  starts_at_login: boolean | null;
}

export interface SetStartAtLogin {
  is_on: boolean;
}

export interface DragAttachment {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
}

/** `is_taken`: it was dropped where somebody took it. */
export interface Dragged {
  is_taken: boolean;
}

/** `text` and `html` are for programs that take no files. */
export interface DragConversation {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** length ≤ 2000 */
  text: string;
  /** length ≤ 4000 */
  html: string;
}

/** `can_run` is False where the platform lacks the engine; `reason` says so in a sentence. */
export interface DeviceStatus {
  can_run: boolean;
  reason: string;
  files: DeviceFile[];
  download: Download;
  process: "running" | "starting" | "stopped";
}

/** A GGUF file that is there. `name` is the part after `device/` in a model's name. */
export interface DeviceFile {
  name: string;
  label: string;
  path: string;
  size_bytes: number;
  is_bundled: boolean;
}

/** The download of the bundled small model. `message` says why it failed and what to do. */
export interface Download {
  state: "checking" | "done" | "failed" | "none" | "paused" | "running";
  received_bytes: number;
  total_bytes: number;
  message: string;
}

/** A GGUF file on this machine; None goes back to the bundled small model. */
export interface UseFile {
  path: string | null;
}

/** How long everything took since the program started, in each list the most total time first. */
export interface AllTimings {
  commands: Timing[];
  providers: ProviderTiming[];
  tools: Timing[];
  store: StoreTiming[];
}

/**
 * Milliseconds, over all calls since the start. `failures` counts those that failed, by error code; what
 * was cancelled or stopped has the code `cancelled` or `stopped`. `p50_ms` and `p95_ms` are read out of a
 * histogram, and off by a fifth at most.
 */
export interface Timing {
  name: string;
  count: number;
  failures: Record<string, number>;
  total_ms: number;
  mean_ms: number;
  p50_ms: number;
  p95_ms: number;
  max_ms: number;
}

/**
 * `calls` are all, however they ended. `head`: until the answer began; `first`: until the model's first
 * word, also of its reasoning; `whole`: until its end, of those that came to it.
 *
 * `tokens_per_s` is over the time after the first word, of answers that came in more than one piece; None
 * where there was none yet. `output_tokens` are those that it counts.
 */
export interface ProviderTiming {
  provider: string;
  calls: Timing;
  head: Timing | null;
  first: Timing | null;
  whole: Timing | null;
  output_tokens: number;
  tokens_per_s: number | null;
}

/** `run` is the function alone; `queue` what it waited for its turn. */
export interface StoreTiming {
  run: Timing;
  queue: Timing;
}

/** `samples` are new; `timings` replace those that were sent before. */
export interface MetricsUpdate {
  samples: Sample[];
  timings: AllTimings;
}

/**
 * What was read at one moment; None where it could not be read, or has no rate yet.
 *
 * Ours is this program with all processes that it started. Percentages are of all processors together, 0 to
 * 100; they and the rates are the mean since the sample before. `memory_bytes` is the resident set of each
 * process, so what they share counts more than once; `machine_memory_bytes` is what is not available.
 * `open_files` are file descriptors, on Windows handles. `disk_free_bytes` is of the data folder's disk.
 * `sampler_ms` is the processor time that taking this sample took.
 */
export interface Sample {
  at_ms: number;
  cpu_percent: number | null;
  memory_bytes: number | null;
  read_bytes_per_s: number | null;
  written_bytes_per_s: number | null;
  open_files: number | null;
  threads: number | null;
  processes: number | null;
  machine_cpu_percent: number | null;
  machine_memory_bytes: number | null;
  machine_read_bytes_per_s: number | null;
  machine_written_bytes_per_s: number | null;
  disk_free_bytes: number | null;
  sampler_ms: number | null;
}

export interface MetricsHistoryInput {
  /** ≥ 1, ≤ 720 */
  hours?: number;
}

/** The samples of the time from `at_ms` on, by series. A series that could not be read is not there. */
export interface Bucket {
  at_ms: number;
  series: Record<string, Range>;
}

/** The values of one series over some time, `count` of them. */
export interface Range {
  min: number;
  mean: number;
  max: number;
  count: number;
}

export interface PageErrorsInput {
  /** ≥ 1, ≤ 1000 */
  limit?: number;
}

/**
 * One kind of failure, as it came last at `at_ms`, and `count` times since `first_ms`.
 *
 * `source` is the part that saw it: `command` and `run` told who asked; `thread`, `task`, `child` (a program
 * that we started), `window` (the page), `renderer` (the process that draws it), `crash` (of Python itself)
 * and `program` told nobody, so the page does, once (`is_shown`). `place` is where in it, `detail` the
 * stack, `version` Deskside's, `doing` the last command that the user gave before, all as they were last.
 * `earlier` are the last times before that, newest first.
 */
export interface ErrorRow {
  id: number;
  at_ms: number;
  source: string;
  code: string;
  message: string;
  place: string;
  detail: string;
  request_id: string;
  fingerprint: string;
  count: number;
  first_ms: number;
  version: string;
  doing: string;
  is_shown: boolean;
  earlier: Occurrence[];
}

/** One time that a failure came. */
export interface Occurrence {
  at_ms: number;
  request_id: string;
}

/**
 * A fault in the page: `where` names the part of the window, `component` the components around it,
 * `build` the page's build id.
 */
export interface ReportWindowErrorInput {
  /** length ≤ 500 */
  where: string;
  /** length ≤ 500 */
  message: string;
  /** length ≤ 8000 */
  stack?: string;
  /** length ≤ 500 */
  component?: string;
  /** length ≤ 500 */
  build?: string;
}

/**
 * `keys` were looked for; `unread` could not be read without asking the user. `is_complete` is False
 * where the time was up before the last file, `unreadable` are files that could not be opened.
 */
export interface SelfCheck {
  at_ms: number;
  keys: number;
  unread: number;
  files: number;
  bytes: number;
  duration_ms: number;
  is_complete: boolean;
  unreadable: string[];
  leaks: Leak[];
}

/**
 * A key where none may be. `key` is its name, as the user knows it; `path` and `offset` (bytes) are where
 * it stands first, `count` how often there. `table` is the database's, where it was found in a value; the
 * offset is 0 then.
 */
export interface Leak {
  key: string;
  form: "base64" | "json" | "plain" | "url";
  path: string;
  offset: number;
  count: number;
  table: string;
}

export interface Report {
  text: string;
}

export interface ErrorId {
  id: number;
}

/** The number under which Sentry shows it. */
export interface SentReport {
  event_id: string;
}

export interface EchoInput {
  /** length ≤ 1000000 */
  text?: string;
}

export interface Echo {
  /** length ≤ 1000000 */
  text: string;
}

/** `message_id` None asks for the last that any reply wrote. */
export interface FilesWrittenInput {
  message_id?: number | null;
}

/**
 * A file that was written by the call `call_id` of a reply. `existed` says that it was there before;
 * `can_undo` that its earlier content is still kept and was not brought back yet.
 */
export interface WrittenFile {
  id: number;
  path: string;
  conversation_id: number | null;
  message_id: number | null;
  call_id: string;
  existed: boolean;
  before_bytes: number;
  after_bytes: number;
  created_ms: number;
  undone_ms: number | null;
  can_undo: boolean;
}

export interface UndoFile {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
}

export interface GrantFolder {
  can_write: boolean;
}

export interface ChangeFolder {
  /** length ≥ 1, length ≤ 4096 */
  path: string;
  can_write: boolean;
}

export interface RemoveFolder {
  /** length ≥ 1, length ≤ 4096 */
  path: string;
}

export interface KeyList {
  keys: KeyRow[];
  keychain: KeychainStatus;
}

/**
 * What may be known of a key outside the keychain: never more than its last four characters.
 *
 * `source` is `environment` for a key from OPENAI_API_KEY or ANTHROPIC_API_KEY, which is used and
 * never stored. `address` is the server ("http://127.0.0.1:1234") that the key is for; None for a
 * provider of which there is one.
 */
export interface KeyRow {
  provider: string;
  label: string;
  last_four: string;
  source: "environment" | "file" | "keychain";
  last_used_ms: number | null;
  address: string | null;
}

/**
 * Where keys can be kept. `missing` and `locked` come with a `hint`; `file_locked` wants the
 * passphrase of the encrypted file.
 */
export interface KeychainStatus {
  state: "file_locked" | "file_ready" | "locked" | "missing" | "ready";
  backend: string;
  hint: string;
}

export interface SaveKey {
  provider: string;
  /** length ≥ 1, length ≤ 1000 */
  secret: string;
}

export interface ProviderId {
  provider: string;
}

/** `message` is a sentence for the user: that it works, or why not and what to do. */
export interface KeyTest {
  works: boolean;
  message: string;
  hint: string;
}

export interface Passphrase {
  /** length ≥ 8, length ≤ 1000 */
  passphrase: string;
}

/**
 * A server and how it does. `reason` says in a sentence why it is not ready; `retry_ms` when it is tried
 * again. `title` is what the server calls itself. `is_signed_in` says that there are tokens to sign out
 * with, also where the server takes them no more.
 */
export interface McpServerRow {
  id: number;
  name: string;
  transport: "http" | "stdio";
  command: string;
  arguments: string[];
  url: string;
  environment: KeptVariable[];
  headers: KeptVariable[];
  is_enabled: boolean;
  is_signed_in: boolean;
  state: "disabled" | "failed" | "idle" | "offline" | "ready" | "signed_out" | "signing_in" | "starting" | "waiting";
  reason: string;
  retry_ms: number | null;
  title: string;
  has_resources: boolean;
  has_prompts: boolean;
  tools: McpToolRow[];
}

/** `place` is where the secret is; empty for a value that is none, and in the store. */
export interface KeptVariable {
  name: string;
  value: string | null;
  place: "" | "file" | "keychain";
}

/**
 * `accepted` is what models are told; `offered` is there while the server offers something else, and then
 * the tool cannot be used. A tool that is not `is_offered` was withdrawn by its server.
 */
export interface McpToolRow {
  name: string;
  remote_name: string;
  is_enabled: boolean;
  is_offered: boolean;
  approval: "always_ask" | "ask" | "never";
  effect: "execute" | "read" | "send" | "write";
  accepted: ShownDefinition | null;
  offered: ShownDefinition | null;
}

/**
 * A definition for the eyes of the user: nothing in it is invisible. `details` is the JSON of the
 * parameters, the result and the annotations; `hash` is what `mcp.accept_tools` wants back.
 */
export interface ShownDefinition {
  hash: string;
  title: string;
  description: string;
  details: string;
}

/** `id` is there to change a server. Of `command` and `url` the one that `transport` says is there. */
export interface ProposeServerInput {
  name: string;
  transport: "http" | "stdio";
  /** length ≤ 1000 */
  command?: string;
  /** length ≤ 100 */
  arguments?: string[];
  /** length ≤ 2000 */
  url?: string;
  /** length ≤ 50 */
  environment?: VariableInput[];
  /** length ≤ 50 */
  headers?: VariableInput[];
  id?: number | null;
}

/**
 * A variable of a program's environment, or a header of every request. `value` None keeps the secret that
 * is stored already.
 */
export interface VariableInput {
  /** length ≥ 1, length ≤ 128 */
  name: string;
  value?: string | null;
  is_secret?: boolean;
}

/** None when the user said no. */
export interface ProposedServer {
  server: McpServerRow | null;
}

export interface ChangeServerInput {
  id: number;
  is_enabled?: boolean | null;
  tools?: ToolSwitch[];
}

export interface ToolSwitch {
  name: string;
  is_enabled: boolean;
}

export interface ServerId {
  id: number;
}

export interface AcceptTools {
  id: number;
  /** length ≥ 1, length ≤ 1000 */
  tools: SeenTool[];
}

/** A tool and the hash of the definition that was shown. */
export interface SeenTool {
  name: string;
  hash: string;
}

/**
 * `source` is who wrote it: the program's standard error, the server through the protocol, or
 * Deskside.
 */
export interface LogLine {
  at_ms: number;
  source: "deskside" | "program" | "server";
  text: string;
}

export interface McpResource {
  uri: string;
  name: string;
  description: string;
  media_type: string;
}

export interface ReadResource {
  id: number;
  /** length ≥ 1, length ≤ 4000 */
  uri: string;
}

/**
 * What a resource or a prompt says, for the message box. `hidden_characters` invisible ones were left
 * out.
 */
export interface InsertedText {
  text: string;
  hidden_characters: number;
}

export interface McpPrompt {
  name: string;
  title: string;
  description: string;
  arguments: PromptArgument[];
}

export interface PromptArgument {
  name: string;
  description: string;
  is_required: boolean;
}

export interface GetPromptInput {
  id: number;
  /** length ≥ 1, length ≤ 1000 */
  name: string;
  arguments?: Record<string, string>;
}

/**
 * One memory, and the conversation it comes from where that is still there. `is_tainted` says that text
 * from outside was in the run that wrote it, which may have put it there.
 */
export interface MemoryRow {
  id: number;
  text: string;
  conversation_id: number | null;
  conversation_title: string | null;
  is_tainted: boolean;
  created_ms: number;
  updated_ms: number;
}

export interface ChangeMemory {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** length ≥ 1, length ≤ 1000 */
  text: string;
}

export interface MemoryId {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
}

/** At most one of the three messages, each of the shown path; without one the page is the path's end. */
export interface PageMessagesInput {
  /** ≥ 1, ≤ 9007199254740991 */
  conversation_id: number;
  before_id?: number | null;
  after_id?: number | null;
  around_id?: number | null;
  /** ≥ 1, ≤ 200 */
  limit?: number;
}

/**
 * Messages of the shown path, oldest first. `has_more` says that there are older ones, `has_newer` newer
 * ones. `last_event` is the number of the last event that the page may ignore: what came later must be
 * applied.
 */
export interface MessagePage {
  messages: MessageRow[];
  has_more: boolean;
  has_newer: boolean;
  last_event: number;
}

/**
 * One message. `versions` are the ids of all siblings, oldest first, this one among them.
 *
 * `status` is `interrupted` when the program died while it streamed, `stopped` when the user stopped
 * it, `failed` when `error` says why. All three offer Continue and Retry.
 *
 * `model` is the one that answered last, perhaps in place of the one that was asked; `agent` the label of
 * who answered. A message with a `delegator_id` answers the call at `call_position` of that reply and is
 * shown inside it. `queue_place` counts from 1 while the reply waits for others to finish, and is 0
 * otherwise. `steering` is what the user said meanwhile and the model has not read yet. The last two are
 * not stored with the message: the runner knows them.
 */
export interface MessageRow {
  id: number;
  conversation_id: number;
  parent_id: number | null;
  role: "assistant" | "user";
  status: "complete" | "failed" | "interrupted" | "stopped" | "streaming";
  parts: (TextPart | ReasoningPart | UserPart | ToolCallPart | NotePart | PausePart)[];
  model: string | null;
  run_id: number | null;
  error: MessageError | null;
  usage: MessageUsage | null;
  versions: number[];
  created_ms: number;
  finished_ms: number | null;
  agent: string | null;
  delegator_id: number | null;
  call_position: number | null;
  queue_place: number;
  steering: string[];
  attachments: AttachmentRow[];
}

export interface TextPart {
  kind: "text";
  text: string;
}

export interface ReasoningPart {
  kind: "reasoning";
  text: string;
}

/** What the user said while the reply was being written, where the model got to read it. */
export interface UserPart {
  kind: "user";
  text: string;
}

/**
 * A tool call and, once it has finished, its result. `arguments` is JSON text, perhaps unfinished.
 *
 * `origin` and `source` say where the output comes from; `hidden_characters` how many invisible ones were
 * kept from the model. `approval` is there once the user was asked, `elicitation` while a server asks them.
 * A call with the name of an agent tool (`is_agent`) has a message of its own: `messages.delegated`.
 */
export interface ToolCallPart {
  kind: "tool_call";
  call_id: string;
  name: string;
  arguments: string;
  status: "failed" | "finished" | "requested" | "running" | "waiting" | "writing";
  output: string | null;
  duration_ms: number;
  origin: "agent" | "file" | "mcp" | "model" | "store" | "tool" | "user" | "user_tool" | "web";
  source: string;
  is_outside: boolean;
  hidden_characters: number;
  approval: ApprovalQuestion | null;
  elicitation: Elicitation | null;
  is_agent: boolean;
}

/**
 * Why the user is asked about a call, and what they answered.
 *
 * `reasons` are sentences. `summary` says what would happen, `diff` how a file would change. `outside`
 * names where text from outside, that is in the run, came from. `scopes` are what an answer may hold for
 * besides this call. `decision` is empty while the user has not answered; `arguments_before` is what the
 * model wrote, where the user changed it.
 */
export interface ApprovalQuestion {
  reasons: string[];
  effect: "execute" | "read" | "send" | "write";
  summary: string;
  diff: string;
  outside: string[];
  scopes: ("agent" | "run")[];
  asked_ms: number;
  decision: "" | "approved" | "denied";
  scope: "agent" | "once" | "run";
  reason: string;
  arguments_before: string | null;
  decided_ms: number;
}

/**
 * What an MCP server asks the user in the middle of a call: `schema` is the JSON Schema of a flat form,
 * or None where `url` is a page to be opened. It is for one of `of_calls` calls of this server; with more
 * than one the server does not say for which.
 */
export interface Elicitation {
  server: string;
  message: string;
  schema: Record<string, unknown> | null;
  url: string;
  of_calls: number;
}

/**
 * Something that the run did which is not part of the answer: `text` is a sentence for the user, `detail`
 * what it is about (what a broken attempt had said, a summary), in Markdown or empty.
 *
 * `kept` counts the items of the history before the note that a model is still sent whole; see
 * `history`.
 */
export interface NotePart {
  kind: "note";
  what: "compacted" | "fell_back" | "limit" | "repaired" | "retried" | "trimmed";
  text: string;
  detail: string;
  kept: number;
}

/**
 * The run would pass a limit, and waits for the user's word. `text` says which and by how much; once it
 * went on, `limit` (limits.Exceeded.key with a dot) holds no more in this reply.
 */
export interface PausePart {
  kind: "pause";
  text: string;
  limit: string;
  status: "stopped" | "waiting" | "went_on";
  asked_ms: number;
  decided_ms: number;
}

/**
 * Why a reply failed, as errors.py says it, and in which request; "" where that was in another
 * program.
 */
export interface MessageError {
  code: string;
  message: string;
  hint: string;
  retryable: boolean;
  request_id: string;
}

/** Tokens of all model calls of one reply; see agent/events.py, Usage. */
export interface MessageUsage {
  input_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
}

export interface DelegatedBy {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
}

export interface ShowVersion {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
}

/** `refresh` asks the providers again instead of using the list of the last hour. */
export interface AvailableModelsInput {
  refresh?: boolean;
}

/**
 * One provider's models. `source` is `live` when the provider was just asked, `cached` from an
 * earlier answer, `built_in` when it never answered. `problem` says why it could not be asked now;
 * `needs_key` that it has no key yet.
 */
export interface ProviderModels {
  provider: string;
  label: string;
  models: ModelInfo[];
  source: "built_in" | "cached" | "live";
  needs_key: boolean;
  problem: string;
}

/** `id` is `provider/model`. `created_s` is Unix seconds, None where the provider does not say. */
export interface ModelInfo {
  id: string;
  label: string;
  provider: string;
  context_tokens: number | null;
  created_s: number | null;
}

/** A server that answered on this machine. `base_url` includes the `/v1`. */
export interface FoundServer {
  kind: "llama_cpp" | "lm_studio" | "ollama" | "vllm";
  label: string;
  base_url: string;
  model_names: string[];
}

/**
 * The newest before the id `before`. An empty `host` stands for all, as does a `purpose` of None.
 * `with_loopback` also gives what stays on this machine.
 */
export interface PageUsesInput {
  before?: number | null;
  /** ≥ 1, ≤ 500 */
  limit?: number;
  /** length ≤ 300 */
  host?: string;
  purpose?: "device" | "error_report" | "mcp" | "mcp_sign_in" | "model_call" | "model_download" | "model_list" | "other" | "server_search" | "update_look" | "web_fetch" | "web_search" | null;
  with_loopback?: boolean;
}

/**
 * One use of a connection. `via` is the proxy's host where there is one. `duration_ms` is None and
 * `outcome` empty while it goes on. `id` is None before it is stored.
 */
export interface NetworkRow {
  id: number | null;
  at_ms: number;
  duration_ms: number | null;
  host: string;
  port: number;
  is_loopback: boolean;
  via: string;
  purpose: "device" | "error_report" | "mcp" | "mcp_sign_in" | "model_call" | "model_download" | "model_list" | "other" | "server_search" | "update_look" | "web_fetch" | "web_search";
  subject: string;
  request_id: string;
  sent_bytes: number;
  received_bytes: number;
  outcome: string;
}

/** Since `since_ms`, in Unix milliseconds. */
export interface TotalUsesInput {
  /** ≥ 0, < 9007199254740992 */
  since_ms?: number;
  with_loopback?: boolean;
}

/** What one host got and gave. `purposes` are what for, the most frequent first. */
export interface HostTotal {
  host: string;
  is_loopback: boolean;
  uses: number;
  refused: number;
  sent_bytes: number;
  received_bytes: number;
  last_ms: number;
  purposes: ("device" | "error_report" | "mcp" | "mcp_sign_in" | "model_call" | "model_download" | "model_list" | "other" | "server_search" | "update_look" | "web_fetch" | "web_search")[];
}

export interface TurnSwitch {
  is_offline: boolean;
}

/** To open a conversation, which exists. `id` numbers the proposals of this run of the program. */
export interface ProposedConversation {
  type: "conversation";
  id: number;
  conversation_id: number;
}

/**
 * To import an agent: `json` is for `agents.import_`. `free_name` is `name`, or one like it where that is
 * taken. `notes` are sentences that the user should read.
 */
export interface ProposedAgent {
  type: "agent";
  id: number;
  origin: "file" | "link";
  json: string;
  free_name: string;
  agent: Agent;
  notes: string[];
}

/**
 * What the user says of an agent. `model` None takes the conversation's; `fallback_models` are tried in
 * order when it fails. None for `temperature`, `max_output_tokens` and `reasoning_effort` leaves them to
 * the provider. `tools` None is every tool that is enabled. A run makes at most `step_limit` model calls.
 *
 * An agent that is not active is not offered and not delegated to; conversations that have it keep it.
 */
export interface Agent {
  name: string;
  /** length ≤ 100 */
  label: string;
  /** length ≤ 32 */
  icon: string;
  /** length ≤ 200000 */
  instructions: string;
  model: string | null;
  /** length ≤ 10 */
  fallback_models: string[];
  temperature: number | null;
  max_output_tokens: number | null;
  reasoning_effort: "high" | "low" | "medium" | "minimal" | null;
  output_schema: Record<string, unknown> | null;
  /** ≥ 1, ≤ 1000 */
  step_limit: number;
  tools: string[] | null;
  /** length ≤ 50 */
  subagents: string[];
  limits: AgentLimits;
  is_active: boolean;
}

/** To begin a new conversation: the tray's menu can, a link cannot. */
export interface ProposedNewChat {
  type: "new_chat";
  id: number;
}

/** Something came that proposes nothing that could be done: why, and what to do. */
export interface RefusedProposal {
  type: "refused";
  id: number;
  message: string;
  hint: string;
}

export interface ProposalId {
  /** ≥ 1, < 9007199254740992 */
  id: number;
}

export interface RunId {
  /** ≥ 1, ≤ 9007199254740991 */
  run_id: number;
}

/**
 * A run's story. `is_recorded` False: nothing but its row is there, because recording was off, or because
 * the recording was old and was cleared away.
 */
export interface RunStory {
  story: Story;
  why_slow: WhySlow;
  is_recorded: boolean;
}

/**
 * A run and all that worked for it. The first span is the run's own. Spans come in the order in which
 * they began, each after the one it is in. `end_ms` is the last moment that is recorded.
 */
export interface Story {
  trace_id: string;
  run_id: number;
  conversation_id: number;
  message_id: number;
  request_id: string;
  command: string;
  program: string;
  model: string;
  status: string;
  start_ms: number;
  end_ms: number;
  spans: Span[];
  marks: Mark[];
}

/**
 * Something that took time. `n` is the fact of run `run_id` that shows what was in it; `end_ms` None: its
 * end is not recorded, because it goes on or the program ended. `first_ms` is when a model began to answer.
 * `step` is the run's step that it is part of, counted from 0. The cost is in nano-dollars;
 * with `is_partial_cost` it may have been more.
 */
export interface Span {
  id: string;
  parent_id: string | null;
  kind: "decision" | "model" | "pause" | "queue" | "render" | "retry" | "run" | "side_call" | "store" | "tool";
  name: string;
  run_id: number;
  n: number;
  start_ms: number;
  end_ms: number | null;
  status: "denied" | "failed" | "ok" | "open" | "stopped";
  message: string;
  code: string;
  call_id: string;
  step: number | null;
  first_ms: number | null;
  usage: Usage | null;
  cost_nano_usd: number | null;
  is_partial_cost: boolean;
  decided: string;
}

/**
 * Tokens of one model call, by price class. The classes do not overlap, except that
 * `reasoning_tokens` says how many of `output_tokens` were reasoning.
 *
 * `input_tokens` excludes cached input: OpenAI counts it inside `prompt_tokens`, Anthropic apart;
 * adapters bring both to this form.
 */
export interface Usage {
  input_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
}

/** A moment in a run: something was said, left out, or given up. */
export interface Mark {
  span_id: string;
  run_id: number;
  n: number;
  at_ms: number;
  kind: string;
  text: string;
}

/** Where the time went, the largest share first. `summary` is one or two sentences. */
export interface WhySlow {
  total_ms: number;
  shares: Share[];
  summary: string;
}

/** How much of the time went into one cause, and what it is called. */
export interface Share {
  cause: "agents" | "first_byte" | "generation" | "other" | "queue" | "render" | "retry" | "store" | "tools" | "user";
  ms: number;
  words: string;
}

/** Fact `n` of a run, as the nodes of its story name it. */
export interface FindNode {
  /** ≥ 1, ≤ 9007199254740991 */
  run_id: number;
  /** ≥ 0, ≤ 2147483648 */
  n: number;
}

/** All texts of one node, and when it was. */
export interface NodeContent {
  run_id: number;
  n: number;
  at_ms: number;
  sections: Section[];
}

/** One text. `size_bytes` is of the whole, `is_cut` says that not all of it is here. */
export interface Section {
  title: string;
  text: string;
  language: "json" | "text";
  size_bytes: number;
  is_cut: boolean;
}

/**
 * All of the reply of a run was on the screen `after_ms` after the window heard of its end. Since the run
 * began, `drawings` of it kept the window busy for `drawing_ms`, the longest of them for `longest_ms`.
 */
export interface ReportShown {
  /** ≥ 1, ≤ 9007199254740991 */
  run_id: number;
  /** ≥ 0, ≤ 86400000 */
  after_ms: number;
  /** ≥ 1, ≤ 10000000 */
  drawings: number;
  /** ≥ 0, ≤ 86400000 */
  drawing_ms: number;
  /** ≥ 0, ≤ 86400000 */
  longest_ms: number;
}

/** `json` holds all that was recorded, `otlp` what happened when, without what was said. */
export interface ExportRun {
  /** ≥ 1, ≤ 9007199254740991 */
  run_id: number;
  format: "json" | "otlp";
}

/** A request id, as errors show it, or the number of a run. */
export interface FindTrace {
  /** length ≥ 1, length ≤ 100 */
  id: string;
}

/** All that is known of one request: the runs that it asked for, its errors, and the log's lines. */
export interface Trace {
  id: string;
  runs: RunStory[];
  errors: ErrorRow[];
  log_lines: string[];
}

/** What came of a replay. `requests` and `events` count what was compared in all runs of the recording. */
export interface Replayed {
  run_id: number;
  is_identical: boolean;
  runs: number;
  requests: number;
  events: number;
  differences: RunDifference[];
}

/**
 * One difference. `n` is the fact of the first run that it is about, None for what only the second has;
 * `what` says it in a sentence, `diff` line by line.
 */
export interface RunDifference {
  run_id: number;
  n: number | null;
  kind: "added" | "changed" | "missing";
  what: string;
  diff: string;
}

/** The file that a terminal has offered under this word. */
export interface ReplayOffered {
  /** length ≥ 1, length ≤ 100 */
  ticket: string;
}

/**
 * A recorded run, and what it has to do with another one: it wrote the same answer or another version of
 * it, a reply of a conversation that was forked from that one's or that that one's was forked from, another
 * reply of the same conversation, or none of these. `question` is how what it answered begins.
 */
export interface RunChoice {
  run_id: number;
  conversation_id: number;
  title: string;
  question: string;
  agent: string;
  model: string;
  status: string;
  started_ms: number;
  relation: "conversation" | "fork" | "other" | "version";
}

/** Of a run that worked for another one, it is that other one that is compared. */
export interface CompareRuns {
  /** ≥ 1, ≤ 9007199254740991 */
  left_run: number;
  /** ≥ 1, ≤ 9007199254740991 */
  right_run: number;
}

/** Two runs beside each other. */
export interface ComparedRuns {
  left: RunTotals;
  right: RunTotals;
  pairs: StepPair[];
}

/**
 * A run and all that worked for it, in figures. `took_ms` None: it goes on, or its end is not known.
 * `first_ms` is when the first word of the answer was there, after the run was asked for. The cost of
 * `unknown_calls` of the `used_calls` is not known, and not in `cost_nano_usd`; `partial_calls` may have
 * cost more than is in it. Of a run without any used call nothing is known to be paid.
 */
export interface RunTotals {
  run_id: number;
  conversation_id: number;
  message_id: number;
  agent: string;
  model: string;
  status: string;
  message: string;
  start_ms: number;
  took_ms: number | null;
  first_ms: number | null;
  model_calls: number;
  failed_model_calls: number;
  tool_calls: number;
  failed_tool_calls: number;
  usage: Usage;
  used_calls: number;
  unknown_calls: number;
  partial_calls: number;
  cost_nano_usd: number;
}

/**
 * What happened in both runs at the same place. `depth` is how many agents it is inside of. A model call
 * is the same where it answered the same, and was asked the same but for what steps before it show.
 */
export interface StepPair {
  kind: "changed" | "only_left" | "only_right" | "same";
  depth: number;
  left: ComparedStep | null;
  right: ComparedStep | null;
  differences: StepDifference[];
}

/**
 * One step of one run. `n` is the fact of run `run_id` that shows what was in it; `excerpts` are the
 * beginnings of what it got and gave: answer, calls and failure of a model, arguments and result of a
 * tool.
 */
export interface ComparedStep {
  run_id: number;
  n: number;
  kind: "decision" | "model" | "pause" | "queue" | "render" | "retry" | "run" | "side_call" | "store" | "tool";
  name: string;
  status: "denied" | "failed" | "ok" | "open" | "stopped";
  took_ms: number | null;
  first_ms: number | null;
  usage: Usage | null;
  cost_nano_usd: number | null;
  excerpts: string[];
}

/**
 * What is other in a pair, line by line. `is_repeated`: the same difference was in a pair before, and
 * `diff` is empty.
 */
export interface StepDifference {
  aspect: "answer" | "arguments" | "calls" | "conversation" | "decision" | "instructions" | "model" | "outcome" | "result" | "settings" | "thinking" | "tools";
  diff: string;
  is_repeated: boolean;
}

/**
 * The reply `message_id` as it was before its step `step`, which is made again: by `model` and `agent`,
 * None for those it had, and after tools have given other `results`.
 */
export interface ForkFromStepInput {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
  /** ≥ 0, ≤ 10000 */
  step: number;
  model?: string | null;
  agent?: string | null;
  /** length ≤ 100 */
  results?: OtherResult[];
}

/** What the tool of this call shall have given instead. */
export interface OtherResult {
  /** length ≥ 1, length ≤ 1000 */
  call_id: string;
  /** length ≤ 200000 */
  output: string;
}

/**
 * What `runs.start` answers with: rows that are on the disk. `question` is None for a retry or a
 * continuation.
 */
export interface StartedRun {
  run_id: number;
  conversation: ConversationRow;
  question: MessageRow | null;
  reply: MessageRow;
}

/**
 * `conversation_id` None starts a new conversation, in which `agent` answers; None is the default agent.
 * `model` None takes the conversation's. `attachment_ids` are of the conversation's draft; with them the
 * text may be blank.
 */
export interface StartRunInput {
  /** length ≤ 2000000 */
  text: string;
  conversation_id?: number | null;
  model?: string | null;
  agent?: string | null;
  /** length ≤ 100 */
  attachment_ids?: number[];
}

/**
 * `message_id` is a question, whose files go with the new one, too. `model` None takes the
 * conversation's.
 */
export interface AskInsteadInput {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
  /** length ≤ 2000000 */
  text: string;
  model?: string | null;
}

export interface Steer {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
  /** length ≥ 1, length ≤ 2000000 */
  text: string;
}

/** `arguments` None are the model's own. `reason` is what the model is told of a denial. */
export interface DecideCallInput {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
  /** ≥ 0, ≤ 2147483648 */
  position: number;
  decision: "approved" | "denied";
  scope?: "agent" | "once" | "run";
  arguments?: string | null;
  /** length ≤ 4000 */
  reason?: string;
}

export interface DecidePause {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
  /** ≥ 0, ≤ 2147483648 */
  position: number;
  go_on: boolean;
}

export interface AnswerElicitationInput {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
  /** ≥ 0, ≤ 2147483648 */
  position: number;
  action: "accept" | "cancel" | "decline";
  content?: Record<string, unknown> | null;
}

export interface ReplyId {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
}

export interface RetryReplyInput {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
  model?: string | null;
}

/**
 * `text` as it was typed, the last word perhaps by half; see store/search_query.py. With a
 * `conversation_id`, only that conversation is searched.
 */
export interface FindInput {
  /** length ≤ 500 */
  text: string;
  conversation_id?: number | null;
  cursor?: string | null;
  /** ≥ 1, ≤ 100 */
  limit?: number;
}

/**
 * Titles first (on the first page only), then messages, the best or the newest first.
 *
 * There are `total` messages, or more than that where `is_more`. `next_cursor` goes into the next call; None
 * at the end. `notes` are sentences for the user about the query. `searched_back_to_ms` is there where the
 * time was up: nothing older was looked at yet.
 */
export interface SearchPage {
  titles: FoundTitle[];
  messages: FoundMessage[];
  total: number;
  is_more: boolean;
  next_cursor: string | null;
  notes: string[];
  searched_back_to_ms: number | null;
}

/** A conversation whose title matches. */
export interface FoundTitle {
  conversation_id: number;
  title: Piece[];
  updated_ms: number;
  is_archived: boolean;
}

/** A part of a snippet or a title; `is_hit` where it is what was looked for. */
export interface Piece {
  text: string;
  is_hit: boolean;
}

/**
 * A message that matches. `root_id` is the message of the path that it is shown in: itself, or the reply
 * whose agents asked for it. `is_shown`: that one is on the path that its conversation shows.
 */
export interface FoundMessage {
  message_id: number;
  root_id: number;
  conversation_id: number;
  title: string;
  role: string;
  created_ms: number;
  model: string | null;
  agent: string | null;
  is_shown: boolean;
  is_archived: boolean;
  snippet: Piece[];
}

export interface OpenFound {
  /** ≥ 1, ≤ 9007199254740991 */
  message_id: number;
}

/** A conversation with the page around what was found. `message_id` is on the page. */
export interface FoundPlace {
  conversation: ConversationRow;
  message_id: number;
  page: MessagePage;
}

/** Only what is present is changed. */
export interface ChangeSettingsInput {
  theme?: "dark" | "light" | "system";
  language?: "en";
  default_model?: string | null;
  servers?: ServerInput[];
  openai_base_url?: string | null;
  anthropic_base_url?: string | null;
  has_chosen_start?: boolean;
  /** length ≤ 200 */
  user_name?: string;
  /** length ≤ 50 */
  fields?: Field[];
  limits?: LimitsInput;
  /** ≥ 1, ≤ 32 */
  max_runs?: number;
  names_conversations?: boolean;
  records_runs?: boolean;
  /** ≥ 1, ≤ 3650 */
  recordings_days?: number;
  /** ≥ 10, ≤ 1000000 */
  recordings_mb?: number;
  /** length ≤ 500 */
  sentry_dsn?: string;
  looks_for_updates?: boolean;
  notifies?: boolean;
  notification_text?: "answer" | "nothing" | "title";
  closes_to_tray?: boolean;
  /** ≥ 50, ≤ 300 */
  zoom_percent?: number;
}

/**
 * An OpenAI-compatible server. `id` is the provider part of its models' names; the first one is
 * called `local`. `base_url` includes the `/v1`. `is_free`: the user says that its answers cost nothing.
 */
export interface ServerInput {
  id: string;
  /** length ≥ 1, length ≤ 100 */
  label: string;
  /** length ≤ 2000 */
  base_url: string;
  is_free?: boolean;
}

/** The limits of all agents together. Days and months are those of the calendar on the wall. */
export interface LimitsInput {
  day?: LimitInput;
  month?: LimitInput;
}

export interface Sorting {
  folders: FolderRow[];
  tags: TagRow[];
}

/** `conversations` counts those that are neither in the archive nor in the trash. */
export interface FolderRow {
  id: number;
  name: string;
  conversations: number;
}

/** `conversations` counts those that are not in the trash. */
export interface TagRow {
  name: string;
  conversations: number;
}

export interface AddFolder {
  /** length ≥ 1, length ≤ 100 */
  name: string;
}

export interface RenameFolder {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** length ≥ 1, length ≤ 100 */
  name: string;
}

/** `to` is its new place in the list, which counts from 0. */
export interface MoveFolder {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
  /** ≥ 0, ≤ 10000 */
  to: number;
}

export interface FolderId {
  /** ≥ 1, ≤ 9007199254740991 */
  id: number;
}

/**
 * A tool that is being written, as the page holds it: `parameters` is text that need not be JSON yet.
 *
 * `replaces` is the name of the tool that this is another version of, None for a new one; `own` says which
 * fields no longer follow the code.
 */
export interface UnfinishedTool {
  replaces: string | null;
  source: string;
  name: string;
  description: string;
  category: string;
  parameters: string;
  capabilities: ("files" | "time" | "web")[];
  own: ("description" | "name" | "parameters")[];
}

/** `tool` None: nothing is being written. */
export interface SaveToolDraft {
  tool: UnfinishedTool | null;
}

/**
 * A tool as it is listed. `source` is the Python text of a user's own tool, `server` the name of the MCP
 * server it comes from. One that is not `is_ready` is of no use to a model, on or off: the user has not
 * accepted what its server offers now, or the server offers it no more.
 */
export interface ToolRow {
  name: string;
  kind: "built_in" | "mcp" | "user";
  description: string;
  parameters: Record<string, unknown>;
  approval: "always_ask" | "ask" | "never";
  effect: "execute" | "read" | "send" | "write";
  is_enabled: boolean;
  category: string;
  capabilities: ("files" | "time" | "web")[];
  source: string | null;
  server: string | null;
  is_ready: boolean;
}

/** Only what is present is changed. */
export interface ChangeToolInput {
  /** length ≥ 1, length ≤ 200 */
  name: string;
  approval?: "always_ask" | "ask" | "never";
  is_enabled?: boolean;
}

/** `parameters` is a JSON Schema of an object. */
export interface CreateToolInput {
  name: string;
  /** length ≥ 1, length ≤ 10000 */
  description: string;
  parameters: Record<string, unknown>;
  /** length ≥ 1, length ≤ 100000 */
  source: string;
  /** length ≤ 60 */
  category?: string;
  /** length ≤ 3 */
  capabilities?: ("files" | "time" | "web")[];
  approval?: "always_ask" | "ask" | "never";
  is_enabled?: boolean;
}

/** `name` is the tool's name until now, `tool` all that it is from now on. */
export interface UpdateToolInput {
  /** length ≥ 1, length ≤ 200 */
  name: string;
  tool: CreateToolInput;
}

export interface ToolId {
  /** length ≥ 1, length ≤ 200 */
  name: string;
}

export interface DraftParameters {
  /** length ≤ 100000 */
  source: string;
}

/**
 * What was read. `function` is what is called, "" where there is none to call. `problems` are sentences
 * for the writer, most with a line.
 */
export interface ToolDraft {
  function: string;
  name: string;
  description: string;
  parameters: Record<string, unknown>;
  problems: string[];
}

export interface TryToolInput {
  /** length ≥ 1, length ≤ 100000 */
  source: string;
  parameters: Record<string, unknown>;
  arguments: Record<string, unknown>;
  /** length ≤ 3 */
  capabilities?: ("files" | "time" | "web")[];
}

/**
 * A run on the test bench. `result` is JSON text, None where there is none; `line` is where it went
 * wrong, None where no line of the code is at fault.
 */
export interface TryOut {
  ok: boolean;
  result: string | null;
  printed: string;
  error: string;
  duration_ms: number;
  line: number | null;
}

/**
 * An import or export. An import is looked at first (`looking`, then `looked`: `counts` is what would
 * come), and brings something only once it is `working`. `done` of `total` are bytes of the file for an
 * import, conversations for an export. `skipped` counts what is left out. `name` is the file's, `program`
 * whose export it is, `path` where an export goes. A terminal that
 * began it also shows it. `message` and `hint` say why it failed.
 */
export interface Transfer {
  id: number;
  kind: "export" | "import";
  state: "cancelled" | "done" | "failed" | "looked" | "looking" | "working";
  name: string;
  program: string;
  path: string;
  done: number;
  total: number;
  counts: TransferCounts;
  skipped: number;
  message: string;
  hint: string;
  is_from_terminal: boolean;
}

/**
 * What is in a file, or came out of it. `already_here` conversations add nothing; `grown` take the place
 * of what an earlier import made of them; `beside` have grown, too, but the user went on with the earlier
 * one, which stays.
 */
export interface TransferCounts {
  conversations: number;
  messages: number;
  files: number;
  already_here: number;
  grown: number;
  beside: number;
}

/** What was left out: counted by reason, and one by one as far as they are listed. */
export interface SkippedReport {
  counts: SkippedCount[];
  items: Skipped[];
}

/** How often something was left out for one reason. */
export interface SkippedCount {
  kind: "conversation" | "file" | "link" | "message" | "note" | "part";
  reason: string;
  count: number;
}

/** One thing that was left out. `conversation` is a title. */
export interface Skipped {
  kind: "conversation" | "file" | "link" | "message" | "note" | "part";
  conversation: string;
  what: string;
  reason: string;
}

/** The file that a terminal has offered under this word; `program` None finds out whose export it is. */
export interface LookAtOfferedInput {
  /** length ≥ 1, length ≤ 100 */
  ticket: string;
  program?: "chatgpt" | "claude" | "deskside" | "librechat" | "openwebui" | null;
}

/** `ids` None exports all that are not in the trash. */
export interface ExportConversationsInput {
  format: "html" | "json" | "markdown";
  ids?: number[] | null;
}

/** As `ExportConversations`, to the file that a terminal has offered under this word. */
export interface ExportOfferedInput {
  /** length ≥ 1, length ≤ 100 */
  ticket: string;
  format: "html" | "json" | "markdown";
  ids?: number[] | null;
}

/**
 * `why_not` says why this Deskside does not look at all; empty where it does. `looked_ms`: when a look
 * last succeeded, in Unix milliseconds. `problem` is why the last one did not. `newer` is None where this is
 * the newest, or nobody has looked yet; `is_supported`: whether this version still gets fixes.
 */
export interface UpdateState {
  version: string;
  why_not: string;
  looked_ms: number | null;
  problem: string;
  newer: NewerRelease | null;
  is_supported: boolean;
}

/**
 * `notes` are Markdown: those of every release that came after this program's. `download` is a page for
 * the user's system, None where there is none. `is_skipped`: the user does not want to hear of it.
 */
export interface NewerRelease {
  version: string;
  date: string;
  notes: string;
  download: string | null;
  is_skipped: boolean;
}

/** None takes it back. */
export interface SkipVersion {
  version: string | null;
}

/** A month of the calendar on the wall, such as 2026-11. */
export interface OfMonth {
  month: string;
}

/** What was used in a month of the calendar on the wall. `days` are those with calls. */
export interface Month {
  total: Sum;
  days: Part[];
  models: Parts;
  agents: Parts;
  conversations: Parts;
  first_ms: number | null;
}

/**
 * What `calls` model calls cost and used. The cost of `unknown_calls` of them is not known, and not in
 * `cost_nano_usd`; that of `billed_calls` is what the provider said, that of the others tokens times their
 * price. Of `partial_calls` the provider did not tell all that was used: they may have cost more.
 */
export interface Sum {
  calls: number;
  cost_nano_usd: number;
  billed_calls: number;
  unknown_calls: number;
  partial_calls: number;
  usage: MessageUsage;
}

/**
 * One part of a total. `id` is the day, the model, the agent's number or the ledger's own of the
 * conversation that it is for; None for calls that are of none. `name` is what the user calls it;
 * `is_gone`: a conversation that was deleted for good, and its name with it. `first_ms` is when the first of
 * the calls was made.
 */
export interface Part {
  id: string | number | null;
  name: string;
  first_ms: number;
  sum: Sum;
  is_gone: boolean;
}

/** The parts that cost most, and the sum of the `more` others, which is None where there are none. */
export interface Parts {
  parts: Part[];
  more: number;
  rest: Sum | null;
}

export interface OfConversation {
  /** ≥ 1, ≤ 9007199254740991 */
  conversation_id: number;
}

/**
 * What a conversation cost so far, with all its versions, its title and other agents' work; and what
 * each of its replies did.
 */
export interface ConversationUsage {
  total: Sum;
  messages: MessageSum[];
}

/** What a reply cost, with the work of other agents for it. */
export interface MessageSum {
  message_id: number;
  sum: Sum;
}

/**
 * Exact decimal dollars for a million tokens. `model` is `provider/model`, `valid_from` a local date
 * (`2026-11-25`). Without a price for the cache, what is read from it or written to it is input like any
 * other. `input` and `output` are both None where the program's own list holds again.
 */
export interface PriceRow {
  id: number;
  model: string;
  valid_from: string;
  input: string | null;
  cache_read: string | null;
  cache_write: string | null;
  output: string | null;
  made_ms: number;
}

/** `prices` None: the program's own list holds from that day on. `valid_from` is a local date. */
export interface ChangePriceInput {
  /** length ≤ 300 */
  model: string;
  valid_from: string;
  prices: TokenPricesInput | null;
}

/**
 * Exact decimal dollars for a million tokens of each class ("3", "0.075"). None for the cache: input like
 * any other.
 */
export interface TokenPricesInput {
  input: string;
  output: string;
  cache_read?: string | null;
  cache_write?: string | null;
}

/**
 * Limits that were set, those of all agents together or of the agent with this label. Only one of
 * `limits` and `agent_limits` is there.
 */
export interface LimitChange {
  at_ms: number;
  agent: string | null;
  limits: Limits | null;
  agent_limits: AgentLimits | null;
}

export interface ConversationChanged {
  type: "conversation_changed";
  conversation: ConversationRow;
}

export interface ConversationDeleted {
  type: "conversation_deleted";
  conversation_id: number;
}

/** The whole row: a message appeared, finished, or changed its status. */
export interface MessageChanged {
  type: "message_changed";
  message: MessageRow;
}

/**
 * Text at `offset` (UTF-16 code units, as JavaScript counts) of part `position` of a message.
 *
 * What the page already has beyond `offset` is the same text: it appends only what is new.
 */
export interface TextAppended {
  type: "text_appended";
  conversation_id: number;
  message_id: number;
  position: number;
  kind: "arguments" | "reasoning" | "text";
  offset: number;
  text: string;
}

/** A part appeared or changed as a whole (a tool call's status, its result). */
export interface PartChanged {
  type: "part_changed";
  conversation_id: number;
  message_id: number;
  position: number;
  part: TextPart | ReasoningPart | UserPart | ToolCallPart | NotePart | PausePart;
}

/**
 * From `position` on the parts of a message are these: what a broken attempt had said is no part of the
 * answer any more.
 */
export interface PartsReplaced {
  type: "parts_replaced";
  conversation_id: number;
  message_id: number;
  position: number;
  parts: (TextPart | ReasoningPart | UserPart | ToolCallPart | NotePart | PausePart)[];
}

/** A model call failed and is made again after `delay_s`: `message` says why. */
export interface ReplyRetried {
  type: "reply_retried";
  conversation_id: number;
  message_id: number;
  attempt: number;
  delay_s: number;
  message: string;
}

export interface SettingsChanged {
  type: "settings_changed";
  settings: Settings;
}

/** Keys or the keychain's state changed: ask `keys.overview` again. */
export interface KeysChanged {
  type: "keys_changed";
}

/** The list of models changed: ask `models.available` again. */
export interface ModelsChanged {
  type: "models_changed";
}

/** Tools, or what was chosen about them, changed: ask `tools.list` again. */
export interface ToolsChanged {
  type: "tools_changed";
}

/**
 * Agents were added, changed or deleted: ask `agents.list` again. A conversation's `agent` can have
 * another name by now.
 */
export interface AgentsChanged {
  type: "agents_changed";
}

/** Its text was read, or could not be. */
export interface AttachmentChanged {
  type: "attachment_changed";
  attachment: AttachmentRow;
}

/** Folders or tags, or what they hold, changed: ask `sorting.overview` again. */
export interface FoldersChanged {
  type: "folders_changed";
}

export interface DeviceChanged {
  type: "device_changed";
  status: DeviceStatus;
}

/** A memory was added, changed or deleted: ask `memories.list` again. */
export interface MemoriesChanged {
  type: "memories_changed";
}

/** An MCP server came, went or changed its state or its tools: ask `mcp.servers` again. */
export interface McpChanged {
  type: "mcp_changed";
}

/** Something left this machine, or came to its end: ask `network.page` and `network.totals` again. */
export interface NetworkChanged {
  type: "network_changed";
}

/** The import or export that is under way; None once it was put away. */
export interface TransferChanged {
  type: "transfer_changed";
  transfer: Transfer | null;
}

/** What a link or a file proposes: all that wait to be seen, in their order. */
export interface ProposalsChanged {
  type: "proposals_changed";
  waiting: (ProposedConversation | ProposedAgent | ProposedNewChat | RefusedProposal)[];
}

/**
 * How far the work on backups is. Without a job: it ended, or something else about backups changed; ask
 * `backups.list` again.
 */
export interface BackupsChanged {
  type: "backups_changed";
  job: Job | null;
}

/** Somebody looked for a newer Deskside, or chose to skip one. */
export interface UpdatesChanged {
  type: "updates_changed";
  state: UpdateState;
}

/**
 * Something failed that nobody asked for, so nobody was told: the row as it is now. The page shows it
 * once (`diagnostics.mark_errors_shown`).
 */
export interface FaultKept {
  type: "fault_kept";
  fault: ErrorRow;
}

/** Something the user should know that belongs to no message: `code` as in errors.py. */
export interface Notice {
  type: "notice";
  level: "error" | "info" | "warning";
  code: string;
  message: string;
  hint: string;
}

/** The store cannot write any more, or can again (None). */
export interface TroubleChanged {
  type: "trouble_changed";
  trouble: Trouble | null;
}

/** The user chose it in a menu of the system's. */
export interface MenuChosen {
  type: "menu_chosen";
  choice: "chooseModel" | "help" | "newChat" | "search" | "settings" | "sidebar" | "zoomIn" | "zoomOut" | "zoomReset";
}

export type AppEvent =
  | ConversationChanged
  | ConversationDeleted
  | MessageChanged
  | TextAppended
  | PartChanged
  | PartsReplaced
  | ReplyRetried
  | SettingsChanged
  | KeysChanged
  | ModelsChanged
  | ToolsChanged
  | AgentsChanged
  | AttachmentChanged
  | FoldersChanged
  | DeviceChanged
  | MemoriesChanged
  | McpChanged
  | NetworkChanged
  | TransferChanged
  | ProposalsChanged
  | BackupsChanged
  | UpdatesChanged
  | FaultKept
  | Notice
  | TroubleChanged
  | MenuChosen;

export function commandsOver(call: Call, _stream: Stream) {
  return {
    agents: {
      /** All agents: the default one first, the others by label. */
      list: (options?: CallOptions): Promise<AgentRow[]> =>
        call("agents.list", null, options),
      /** Add an agent. Conflict where the name is taken. */
      create: (params: CreateAgentInput, options?: CallOptions): Promise<AgentRow> =>
        call("agents.create", params, options),
      /**
       * Change some of an agent. Conflict where a new name is taken; the default agent keeps its name and stays
       * active.
       */
      change: (params: ChangeAgentInput, options?: CallOptions): Promise<AgentRow> =>
        call("agents.change", params, options),
      /** Add a copy under a name that is free. */
      duplicate: (params: AgentId, options?: CallOptions): Promise<AgentRow> =>
        call("agents.duplicate", params, options),
      /** Take an agent off the list. The default agent answers in its conversations until `restore`. */
      delete: (params: AgentId, options?: CallOptions): Promise<void> =>
        call("agents.delete", params, options),
      /** Undo `delete`. Conflict where another agent has its name by now. */
      restore: (params: AgentId, options?: CallOptions): Promise<AgentRow> =>
        call("agents.restore", params, options),
      /** The tools that the user lets an agent use without asking, by name. */
      allowed_tools: (params: AgentId, options?: CallOptions): Promise<string[]> =>
        call("agents.allowed_tools", params, options),
      /**
       * Take such a permission back: from its next call on the tool is asked about, also in a run under
       * way.
       */
      disallow_tool: (params: AllowedTool, options?: CallOptions): Promise<void> =>
        call("agents.disallow_tool", params, options),
      /** An agent as the text of a file, without ids and keys. */
      export: (params: NamedAgent, options?: CallOptions): Promise<ExportedAgent> =>
        call("agents.export", params, options),
      /** Let the user choose where to write an agent's file. NeedsWindow without a window. */
      export_file: (params: NamedAgent, options?: CallOptions): Promise<SavedFile> =>
        call("agents.export_file", params, options),
      /**
       * Let the user choose an agent's file, and give its text for `import_`. NeedsWindow without a window,
       * InvalidRequest for a file that is not an agent's.
       */
      open_file: (options?: CallOptions): Promise<OpenedFile> =>
        call("agents.open_file", null, options),
      /**
       * Add an agent from the text of its file. It is read strictly; tools and sub-agents that are not here
       * are kept by name and told.
       */
      import_: (params: ImportAgentInput, options?: CallOptions): Promise<ImportedAgent> =>
        call("agents.import_", params, options),
      /** Instructions as a model would get them now. */
      preview_instructions: (params: PreviewInstructions, options?: CallOptions): Promise<PreviewedInstructions> =>
        call("agents.preview_instructions", params, options),
      /** What all agents together used today and this month. Beside the limits in the settings. */
      spent: (options?: CallOptions): Promise<SpentSoFar> =>
        call("agents.spent", null, options),
    },
    app: {
      /** Everything the page needs before its first paint. */
      state: (options?: CallOptions): Promise<AppState> =>
        call("app.state", null, options),
    },
    attachments: {
      /** What is put to what is being typed in a conversation, in order. */
      draft: (params: DraftOf, options?: CallOptions): Promise<AttachmentRow[]> =>
        call("attachments.draft", params, options),
      /** Take a file off what is being typed. NotFound for one that was sent already. */
      detach: (params: AttachmentId, options?: CallOptions): Promise<void> =>
        call("attachments.detach", params, options),
      /** A piece of what was read out of an attachment; the empty one where there is nothing, or not yet. */
      text: (params: TextOfInput, options?: CallOptions): Promise<AttachmentText> =>
        call("attachments.text", params, options),
    },
    backups: {
      /** The backups that there are, and what is under way. */
      list: (options?: CallOptions): Promise<BackupList> =>
        call("backups.list", null, options),
      /**
       * Back everything up; returns when it is done. Progress arrives as events. NeedsWindow for another
       * folder without a window.
       */
      make: (params: MakeBackupInput, options?: CallOptions): Promise<BackupMade> =>
        call("backups.make", params, options),
      /** Read a backup whole. StoreDamaged where it is not what was written. */
      check: (params: NamedBackup, options?: CallOptions): Promise<void> =>
        call("backups.check", params, options),
      /** Stop what is under way: a backup, a preview, a clean-up. Nothing of it stays. */
      stop: (options?: CallOptions): Promise<void> =>
        call("backups.stop", null, options),
      /** Encrypt backups from now on with a passphrase, or no longer. */
      encrypt: (params: EncryptBackups, options?: CallOptions): Promise<BackupList> =>
        call("backups.encrypt", params, options),
      /**
       * Prepare a backup and say what restoring it would change; nothing is changed yet. PassphraseWanted and
       * WrongPassphrase for an encrypted one.
       */
      preview: (params: PreviewRestoreInput, options?: CallOptions): Promise<RestoreChoice> =>
        call("backups.preview", params, options),
      /**
       * Ask the user in the system's dialog, then restore what was prepared at the next start. NeedsWindow
       * without a window.
       */
      restore: (options?: CallOptions): Promise<RestoreAnswer> =>
        call("backups.restore", null, options),
      /** Forget what was prepared, or was to be restored at the next start. */
      cancel_restore: (options?: CallOptions): Promise<void> =>
        call("backups.cancel_restore", null, options),
      /** How much room each table, the attached files and the backups take. */
      statistics: (options?: CallOptions): Promise<Statistics> =>
        call("backups.statistics", null, options),
      /** Give the space of what was deleted back to the disk. StoreFull where it needs more than is free. */
      vacuum: (options?: CallOptions): Promise<Vacuumed> =>
        call("backups.vacuum", null, options),
      /**
       * Let the user choose a folder, and copy all data there. It is used from the next start on; nothing is
       * written until then. NeedsWindow without a window.
       */
      move: (options?: CallOptions): Promise<MovedData> =>
        call("backups.move", null, options),
      /** Ask the user, then delete the data from the folder that they were moved from. NeedsWindow. */
      delete_old_data: (options?: CallOptions): Promise<void> =>
        call("backups.delete_old_data", null, options),
      /** Close Deskside and start it again. NeedsWindow without a window. */
      restart: (options?: CallOptions): Promise<void> =>
        call("backups.restart", null, options),
    },
    conversations: {
      /** Conversations of a place, the last used first. */
      page: (params: PageConversationsInput, options?: CallOptions): Promise<ConversationPage> =>
        call("conversations.page", params, options),
      /** The pinned conversations that are listed, the last pinned first. */
      pinned: (options?: CallOptions): Promise<ConversationRow[]> =>
        call("conversations.pinned", null, options),
      /** One conversation. NotFound if it was deleted. */
      get: (params: ConversationId, options?: CallOptions): Promise<ConversationRow> =>
        call("conversations.get", params, options),
      /** Give a conversation a new title. NotFound if it was deleted meanwhile. */
      rename: (params: RenameConversation, options?: CallOptions): Promise<ConversationRow> =>
        call("conversations.rename", params, options),
      /**
       * Let the conversation's model give it a title, which is a model call. Conflict where a limit stands in
       * the way.
       */
      name_by_model: (params: ConversationId, options?: CallOptions): Promise<ConversationRow> =>
        call("conversations.name_by_model", params, options),
      /** Choose the model for the next answers of a conversation. Any name is taken as it is. */
      set_model: (params: SetConversationModel, options?: CallOptions): Promise<ConversationRow> =>
        call("conversations.set_model", params, options),
      /**
       * Choose who writes the next answers of a conversation. NotFound without such an agent, Conflict where
       * it is switched off.
       */
      set_agent: (params: SetConversationAgent, options?: CallOptions): Promise<ConversationRow> =>
        call("conversations.set_agent", params, options),
      /** Begin a new conversation with a copy of all up to a message. Conflict while that is being written. */
      fork: (params: ForkConversation, options?: CallOptions): Promise<ConversationRow> =>
        call("conversations.fork", params, options),
      /** Pin, archive, put into a folder or tag conversations: all of them or, when one is gone, none. */
      change: (params: ChangeConversationsInput, options?: CallOptions): Promise<ConversationRow[]> =>
        call("conversations.change", params, options),
      /** Put conversations into the trash; their runs are stopped. `restore` brings them back whole. */
      delete: (params: ConversationIds, options?: CallOptions): Promise<void> =>
        call("conversations.delete", params, options),
      /** Undo `delete`. */
      restore: (params: ConversationIds, options?: CallOptions): Promise<ConversationRow[]> =>
        call("conversations.restore", params, options),
      /**
       * Remove conversations that are in the trash, for good, with the files that only they had. Others
       * stay.
       */
      purge: (params: ConversationIds, options?: CallOptions): Promise<void> =>
        call("conversations.purge", params, options),
      /** Remove all that is in the trash, for good. */
      empty_trash: (options?: CallOptions): Promise<void> =>
        call("conversations.empty_trash", null, options),
      /** Keep what is typed but not sent. */
      save_draft: (params: SaveDraft, options?: CallOptions): Promise<void> =>
        call("conversations.save_draft", params, options),
    },
    desktop: {
      /** Open a web or mail address outside, in the user's own program. */
      open_link: (params: OpenLink, options?: CallOptions): Promise<void> =>
        call("desktop.open_link", params, options),
      /** Show the system's file dialog. NeedsWindow without a window. */
      choose_file: (params: ChooseFile, options?: CallOptions): Promise<ChosenFile> =>
        call("desktop.choose_file", params, options),
      /** What this desktop and this window can do together. NeedsWindow without a window. */
      integration: (options?: CallOptions): Promise<Integration> =>
        call("desktop.integration", null, options),
      /** Have the system start Deskside when the user logs in, or no more, and say how it is now. */
      set_start_at_login: (params: SetStartAtLogin, options?: CallOptions): Promise<Integration> =>
        call("desktop.set_start_at_login", params, options),
      /**
       * Let the user drag a copy of an attached file out of the window, and say how that ended. NotFound where
       * it is gone, NeedsWindow without a window, Conflict during another drag.
       */
      drag_attachment: (params: DragAttachment, options?: CallOptions): Promise<Dragged> =>
        call("desktop.drag_attachment", params, options),
      /** The same with a conversation, as the file that its export would be. */
      drag_conversation: (params: DragConversation, options?: CallOptions): Promise<Dragged> =>
        call("desktop.drag_conversation", params, options),
    },
    device: {
      /** What can run on this machine, and how far the download is. */
      status: (options?: CallOptions): Promise<DeviceStatus> =>
        call("device.status", null, options),
      /** Start, or resume, the download of the small model. Progress arrives as events. */
      download: (options?: CallOptions): Promise<DeviceStatus> =>
        call("device.download", null, options),
      /** Stop the download; what has arrived is kept for resuming. */
      pause_download: (options?: CallOptions): Promise<DeviceStatus> =>
        call("device.pause_download", null, options),
      /** Choose the GGUF file to run. */
      use_file: (params: UseFile, options?: CallOptions): Promise<DeviceStatus> =>
        call("device.use_file", params, options),
    },
    diagnostics: {
      /** How long commands, calls of providers, tools and store functions took. */
      timings: (options?: CallOptions): Promise<AllTimings> =>
        call("diagnostics.timings", null, options),
      /**
       * The samples of the last minutes, then one every second for as long as somebody reads, each time with
       * the timings.
       */
      metrics: (options?: CallOptions): AsyncIterable<MetricsUpdate> =>
        _stream("diagnostics.metrics", null, options),
      /** What the program used of the machine in the last hours, oldest first, without the last minutes. */
      history: (params: MetricsHistoryInput, options?: CallOptions): Promise<Bucket[]> =>
        call("diagnostics.history", params, options),
      /** The last failures of answers, commands and the page, newest first. */
      recent_errors: (params: PageErrorsInput, options?: CallOptions): Promise<ErrorRow[]> =>
        call("diagnostics.recent_errors", params, options),
      /** Keep a fault of the page with our own errors. */
      report_window_error: (params: ReportWindowErrorInput, options?: CallOptions): Promise<void> =>
        call("diagnostics.report_window_error", params, options),
      /** Look for live keys in all files that Deskside has written. */
      self_check: (options?: CallOptions): Promise<SelfCheck> =>
        call("diagnostics.self_check", null, options),
      /**
       * What helps to find a fault, as text to pass on: the system, the settings without names and addresses,
       * the last failures, the timings and the end of the log. No key, prompt or answer is in it.
       */
      bundle: (options?: CallOptions): Promise<Report> =>
        call("diagnostics.bundle", null, options),
      /** One failure as text to pass on. */
      error_report: (params: ErrorId, options?: CallOptions): Promise<Report> =>
        call("diagnostics.error_report", params, options),
      /** Send a report of nothing to the Sentry server that is set, and return once it has taken it. */
      send_test_report: (options?: CallOptions): Promise<SentReport> =>
        call("diagnostics.send_test_report", null, options),
      /** The user was told of the failures that nobody was told of. */
      mark_errors_shown: (options?: CallOptions): Promise<void> =>
        call("diagnostics.mark_errors_shown", null, options),
      /** Forget all failures. */
      clear_errors: (options?: CallOptions): Promise<void> =>
        call("diagnostics.clear_errors", null, options),
      /**
       * The page can be used: note it in the log, say what the user must know, and prepare what the first
       * question will need.
       */
      page_ready: (options?: CallOptions): Promise<void> =>
        call("diagnostics.page_ready", null, options),
      /** Send back what was sent: for measuring the bridge alone. */
      echo: (params: EchoInput, options?: CallOptions): Promise<Echo> =>
        call("diagnostics.echo", params, options),
    },
    files: {
      /** The files that a reply wrote, newest first. */
      written: (params: FilesWrittenInput, options?: CallOptions): Promise<WrittenFile[]> =>
        call("files.written", params, options),
      /** Bring back what was in a file before. Conflict where it was changed since. */
      undo: (params: UndoFile, options?: CallOptions): Promise<WrittenFile> =>
        call("files.undo", params, options),
    },
    folders: {
      /** Let the user choose a folder in the system's dialog, and grant it. NeedsWindow without a window. */
      grant: (params: GrantFolder, options?: CallOptions): Promise<GrantedFolder[]> =>
        call("folders.grant", params, options),
      /** Let a folder only be read, or, when the user says so in the system's dialog, be written as well. */
      change: (params: ChangeFolder, options?: CallOptions): Promise<GrantedFolder[]> =>
        call("folders.change", params, options),
      /** Take a folder back at once. */
      remove: (params: RemoveFolder, options?: CallOptions): Promise<GrantedFolder[]> =>
        call("folders.remove", params, options),
    },
    keys: {
      /** The stored and environment keys, and where keys can be kept on this machine. */
      overview: (options?: CallOptions): Promise<KeyList> =>
        call("keys.overview", null, options),
      /** Store a key, replacing the provider's old one. */
      save: (params: SaveKey, options?: CallOptions): Promise<KeyList> =>
        call("keys.save", params, options),
      /** Forget a provider's stored key. */
      delete: (params: ProviderId, options?: CallOptions): Promise<KeyList> =>
        call("keys.delete", params, options),
      /** Make one small real call with the provider's key. */
      test: (params: ProviderId, options?: CallOptions): Promise<KeyTest> =>
        call("keys.test", params, options),
      /** Keep keys in an encrypted file: create it, or unlock it with its passphrase. */
      use_file: (params: Passphrase, options?: CallOptions): Promise<KeyList> =>
        call("keys.use_file", params, options),
    },
    mcp: {
      /** All MCP servers with their tools, by name. Those that are switched on are started. */
      servers: (options?: CallOptions): Promise<McpServerRow[]> =>
        call("mcp.servers", null, options),
      /** Ask the user, in a dialog of the system, about adding or changing a server. NeedsWindow without one. */
      propose: (params: ProposeServerInput, options?: CallOptions): Promise<ProposedServer> =>
        call("mcp.propose", params, options),
      /** Switch a server, or some of its tools, on or off. */
      change: (params: ChangeServerInput, options?: CallOptions): Promise<McpServerRow> =>
        call("mcp.change", params, options),
      /** End a server and forget it, with its tools and its secrets. */
      remove: (params: ServerId, options?: CallOptions): Promise<void> =>
        call("mcp.remove", params, options),
      /** End a server and start it again. */
      restart: (params: ServerId, options?: CallOptions): Promise<McpServerRow> =>
        call("mcp.restart", params, options),
      /**
       * Let the user sign in at a server, in their browser, once they agreed in a dialog of the system. It
       * takes as long as they do, and goes on without the page. NeedsWindow without a window.
       */
      sign_in: (params: ServerId, options?: CallOptions): Promise<McpServerRow> =>
        call("mcp.sign_in", params, options),
      /** Give up a sign-in that waits for the user. */
      cancel_sign_in: (params: ServerId, options?: CallOptions): Promise<McpServerRow> =>
        call("mcp.cancel_sign_in", params, options),
      /** Forget the tokens of a server, and connect to it without them. */
      sign_out: (params: ServerId, options?: CallOptions): Promise<McpServerRow> =>
        call("mcp.sign_out", params, options),
      /** Let models use tools as they were shown. Conflict when one was changed since. */
      accept_tools: (params: AcceptTools, options?: CallOptions): Promise<McpServerRow> =>
        call("mcp.accept_tools", params, options),
      /** The last lines that a server wrote, oldest first. They are kept in memory only. */
      logs: (params: ServerId, options?: CallOptions): Promise<LogLine[]> =>
        call("mcp.logs", params, options),
      /** What a server has to read. */
      resources: (params: ServerId, options?: CallOptions): Promise<McpResource[]> =>
        call("mcp.resources", params, options),
      /** A resource as text, for the message box. */
      read_resource: (params: ReadResource, options?: CallOptions): Promise<InsertedText> =>
        call("mcp.read_resource", params, options),
      /** The prompts that a server has. */
      prompts: (params: ServerId, options?: CallOptions): Promise<McpPrompt[]> =>
        call("mcp.prompts", params, options),
      /** A prompt with its blanks filled in, for the message box. */
      get_prompt: (params: GetPromptInput, options?: CallOptions): Promise<InsertedText> =>
        call("mcp.get_prompt", params, options),
    },
    memories: {
      /** All memories, the last changed first. */
      list: (options?: CallOptions): Promise<MemoryRow[]> =>
        call("memories.list", null, options),
      /** Give a memory another text. NotFound if it was deleted meanwhile. */
      change: (params: ChangeMemory, options?: CallOptions): Promise<MemoryRow> =>
        call("memories.change", params, options),
      /** Forget a memory for good. */
      delete: (params: MemoryId, options?: CallOptions): Promise<void> =>
        call("memories.delete", params, options),
    },
    messages: {
      /** A page of the shown path, oldest first, with replies that still stream. */
      page: (params: PageMessagesInput, options?: CallOptions): Promise<MessagePage> =>
        call("messages.page", params, options),
      /** The messages in which other agents answer this one's calls, oldest first; see `call_position`. */
      delegated: (params: DelegatedBy, options?: CallOptions): Promise<MessageRow[]> =>
        call("messages.delegated", params, options),
      /** Switch the shown path to another version of a message, and return the path's end. */
      show_version: (params: ShowVersion, options?: CallOptions): Promise<MessagePage> =>
        call("messages.show_version", params, options),
    },
    models: {
      /**
       * Every configured provider with its models. A provider that cannot be asked keeps its last list,
       * or the one built in, and says why.
       */
      available: (params: AvailableModelsInput, options?: CallOptions): Promise<ProviderModels[]> =>
        call("models.available", params, options),
      /** Look for Ollama, LM Studio, llama.cpp and vLLM on their usual ports of this machine. */
      find_servers: (options?: CallOptions): Promise<FoundServer[]> =>
        call("models.find_servers", null, options),
    },
    network: {
      /** What passed the gate, newest first. What still goes on has its bytes as they are now. */
      page: (params: PageUsesInput, options?: CallOptions): Promise<NetworkRow[]> =>
        call("network.page", params, options),
      /** What each host got and gave, whoever got most first. */
      totals: (params: TotalUsesInput, options?: CallOptions): Promise<HostTotal[]> =>
        call("network.totals", params, options),
      /**
       * Go offline, or online again. Offline nothing leaves this machine: answers from elsewhere end where they
       * are, and what they said is kept.
       */
      switch: (params: TurnSwitch, options?: CallOptions): Promise<Settings> =>
        call("network.switch", params, options),
    },
    proposals: {
      /** Those that the user has not seen yet, in the order in which they came. */
      waiting: (options?: CallOptions): Promise<(ProposedConversation | ProposedAgent | ProposedNewChat | RefusedProposal)[]> =>
        call("proposals.waiting", null, options),
      /** The user has seen it. Nothing happens where it is gone. */
      put_away: (params: ProposalId, options?: CallOptions): Promise<void> =>
        call("proposals.put_away", params, options),
    },
    recordings: {
      /** How a run went: all that took time, inside what, and why it took that long. */
      story: (params: RunId, options?: CallOptions): Promise<RunStory> =>
        call("recordings.story", params, options),
      /** What was in one node of a run: request and answer, arguments and result. */
      content: (params: FindNode, options?: CallOptions): Promise<NodeContent> =>
        call("recordings.content", params, options),
      /**
       * Note how long the window took to show a reply that came while it was open. False where that is known
       * already, or the run was not recorded.
       */
      shown: (params: ReportShown, options?: CallOptions): Promise<boolean> =>
        call("recordings.shown", params, options),
      /** A recording as a file would hold it. */
      text: (params: ExportRun, options?: CallOptions): Promise<string> =>
        call("recordings.text", params, options),
      /** Let the user choose where a recording is written. Returns the path; None when they cancelled. */
      export: (params: ExportRun, options?: CallOptions): Promise<string | null> =>
        call("recordings.export", params, options),
      /** All that one request led to: runs, errors, and lines of the log. */
      trace: (params: FindTrace, options?: CallOptions): Promise<Trace> =>
        call("recordings.trace", params, options),
      /**
       * Run a recorded run again, with today's agents and tools, against what was recorded: without the
       * network, without cost, and without storing anything. Returns what is other.
       */
      replay: (params: RunId, options?: CallOptions): Promise<Replayed> =>
        call("recordings.replay", params, options),
      /** As `replay`, of a file that a terminal has offered. NotFound without such an offer. */
      replay_file: (params: ReplayOffered, options?: CallOptions): Promise<Replayed> =>
        call("recordings.replay_file", params, options),
      /** The recorded runs that a run may be compared with: those of its conversation and of its forks first. */
      others: (params: RunId, options?: CallOptions): Promise<RunChoice[]> =>
        call("recordings.others", params, options),
      /** Two runs beside each other, step by step: which are the same, and what is other in the rest. */
      compare: (params: CompareRuns, options?: CallOptions): Promise<ComparedRuns> =>
        call("recordings.compare", params, options),
      /** Begin a new conversation with a copy of all up to a step of a reply; the reply goes on from there. */
      fork: (params: ForkFromStepInput, options?: CallOptions): Promise<StartedRun> =>
        call("recordings.fork", params, options),
    },
    rescue: {
      /**
       * Read what can be read of the damaged database, and say what that is. Nothing is changed yet. Conflict
       * where it is not damaged, StoreDamaged where nothing can be read.
       */
      prepare: (options?: CallOptions): Promise<Findings> =>
        call("rescue.prepare", null, options),
      /**
       * Put what was prepared in the place of the damaged database: Deskside starts again for that. NeedsWindow
       * without a window; then it happens at the next start.
       */
      confirm: (options?: CallOptions): Promise<void> =>
        call("rescue.confirm", null, options),
      /** The user has seen what was rescued; it is not told again. */
      seen: (options?: CallOptions): Promise<void> =>
        call("rescue.seen", null, options),
      /** Close Deskside and start it again. NeedsWindow without a window. */
      restart: (options?: CallOptions): Promise<void> =>
        call("rescue.restart", null, options),
    },
    runs: {
      /**
       * Store what the user typed, then start the answer. The answer arrives as events.
       *
       * Once this returns, the question is on the disk, whatever happens next.
       */
      start: (params: StartRunInput, options?: CallOptions): Promise<StartedRun> =>
        call("runs.start", params, options),
      /**
       * Ask a question in other words and answer it; the old one, with what followed, stays as an earlier
       * version.
       */
      ask_instead: (params: AskInsteadInput, options?: CallOptions): Promise<StartedRun> =>
        call("runs.ask_instead", params, options),
      /**
       * Say something to a reply that is being written; the model reads it before its next step.
       *
       * Once this returns it is on the disk. Conflict when the reply has ended.
       */
      steer: (params: Steer, options?: CallOptions): Promise<MessageRow> =>
        call("runs.steer", params, options),
      /** Answer whether a tool call that waits may run. Also lets a run go on that ended with the program. */
      decide: (params: DecideCallInput, options?: CallOptions): Promise<void> =>
        call("runs.decide", params, options),
      /** Let a run pass the limit that it waits at, or stop it there. */
      decide_pause: (params: DecidePause, options?: CallOptions): Promise<void> =>
        call("runs.decide_pause", params, options),
      /** Answer what an MCP server asks in the middle of a call. */
      answer_elicitation: (params: AnswerElicitationInput, options?: CallOptions): Promise<void> =>
        call("runs.answer_elicitation", params, options),
      /** Stop the run that writes this reply; what was said is kept. Nothing happens if it has ended. */
      stop: (params: ReplyId, options?: CallOptions): Promise<void> =>
        call("runs.stop", params, options),
      /** Answer the same question again. The old reply stays as an earlier version. */
      retry: (params: RetryReplyInput, options?: CallOptions): Promise<StartedRun> =>
        call("runs.retry", params, options),
      /** Go on where an interrupted, stopped or failed reply ended, in the same message. */
      continue_reply: (params: ReplyId, options?: CallOptions): Promise<StartedRun> =>
        call("runs.continue_reply", params, options),
    },
    search: {
      /**
       * Messages and titles that match, the best first, or the newest where there are thousands. Any text is a
       * query; nothing matches one without a word or a filter. Cancel it when the user types on.
       */
      find: (params: FindInput, options?: CallOptions): Promise<SearchPage> =>
        call("search.find", params, options),
      /**
       * The page around a message. Where it is in a version that is not shown, that version is shown from now
       * on; what another agent wrote is in the reply that asked for it. NotFound if it was deleted.
       */
      open: (params: OpenFound, options?: CallOptions): Promise<FoundPlace> =>
        call("search.open", params, options),
    },
    settings: {
      /** All settings. */
      get: (options?: CallOptions): Promise<Settings> =>
        call("settings.get", null, options),
      /** Change some settings and return all of them. */
      change: (params: ChangeSettingsInput, options?: CallOptions): Promise<Settings> =>
        call("settings.change", params, options),
    },
    sorting: {
      /** All folders in their order, and all tags by name. */
      overview: (options?: CallOptions): Promise<Sorting> =>
        call("sorting.overview", null, options),
      /** Make a folder. Conflict where there is one with this name. */
      add_folder: (params: AddFolder, options?: CallOptions): Promise<FolderRow> =>
        call("sorting.add_folder", params, options),
      /** Conflict where another folder has this name. */
      rename_folder: (params: RenameFolder, options?: CallOptions): Promise<FolderRow> =>
        call("sorting.rename_folder", params, options),
      /** Give a folder another place in the list. */
      move_folder: (params: MoveFolder, options?: CallOptions): Promise<void> =>
        call("sorting.move_folder", params, options),
      /** Remove a folder. Its conversations stay, in no folder. */
      delete_folder: (params: FolderId, options?: CallOptions): Promise<void> =>
        call("sorting.delete_folder", params, options),
    },
    tools: {
      /** The tool that was being written when the page was last there. */
      saved_draft: (options?: CallOptions): Promise<UnfinishedTool | null> =>
        call("tools.saved_draft", null, options),
      /** Keep what is written of a tool but not saved. */
      save_draft: (params: SaveToolDraft, options?: CallOptions): Promise<void> =>
        call("tools.save_draft", params, options),
      /** All tools of all kinds, by name. */
      list: (options?: CallOptions): Promise<ToolRow[]> =>
        call("tools.list", null, options),
      /** Change when a tool asks the user, and whether it is on. NotFound if it was deleted meanwhile. */
      change: (params: ChangeToolInput, options?: CallOptions): Promise<ToolRow> =>
        call("tools.change", params, options),
      /** Keep a tool that the user wrote. Conflict where the name is taken. */
      create: (params: CreateToolInput, options?: CallOptions): Promise<ToolRow> =>
        call("tools.create", params, options),
      /** Replace a tool that the user wrote; agents that use it follow its new name. */
      update: (params: UpdateToolInput, options?: CallOptions): Promise<ToolRow> =>
        call("tools.update", params, options),
      /** Forget a tool that the user wrote. Creating it again undoes that: agents keep its name. */
      delete: (params: ToolId, options?: CallOptions): Promise<void> =>
        call("tools.delete", params, options),
      /** Read the name, description and parameters off a tool's source, without running it. */
      draft_parameters: (params: DraftParameters, options?: CallOptions): Promise<ToolDraft> =>
        call("tools.draft_parameters", params, options),
      /** Run a tool's source once with these arguments, in the sandbox, without keeping it. */
      try_out: (params: TryToolInput, options?: CallOptions): Promise<TryOut> =>
        call("tools.try_out", params, options),
    },
    transfers: {
      /** The import or export that is under way, or the last one until it is put away. */
      current: (options?: CallOptions): Promise<Transfer | null> =>
        call("transfers.current", null, options),
      /** What the current import leaves out, and why. */
      skipped: (options?: CallOptions): Promise<SkippedReport> =>
        call("transfers.skipped", null, options),
      /**
       * Let the user choose a file to import, and look at it: nothing is imported yet. None when they
       * cancelled.
       */
      choose_import: (options?: CallOptions): Promise<Transfer | null> =>
        call("transfers.choose_import", null, options),
      /** Look at a file that a terminal has offered. NotFound without such an offer. */
      look: (params: LookAtOfferedInput, options?: CallOptions): Promise<Transfer> =>
        call("transfers.look", params, options),
      /** Import the file that was looked at. Conflict where none was. */
      import_: (options?: CallOptions): Promise<Transfer> =>
        call("transfers.import_", null, options),
      /** Let the user choose where to write conversations, and write them. None when they cancelled. */
      export: (params: ExportConversationsInput, options?: CallOptions): Promise<Transfer | null> =>
        call("transfers.export", params, options),
      /** Write conversations to the file that a terminal has offered. NotFound without such an offer. */
      export_to: (params: ExportOfferedInput, options?: CallOptions): Promise<Transfer> =>
        call("transfers.export_to", params, options),
      /**
       * Stop the import or export after the conversation that it is at. An import keeps those that came; an
       * export leaves no file.
       */
      cancel: (options?: CallOptions): Promise<void> =>
        call("transfers.cancel", null, options),
      /** Forget a transfer that has ended, or a file that was looked at. */
      put_away: (options?: CallOptions): Promise<void> =>
        call("transfers.put_away", null, options),
    },
    updates: {
      /** What is known of newer versions. Reaches nobody. */
      status: (options?: CallOptions): Promise<UpdateState> =>
        call("updates.status", null, options),
      /** Look now whether there is a newer version, whatever the settings say. UpdateLookFailed says why not. */
      look: (options?: CallOptions): Promise<UpdateState> =>
        call("updates.look", null, options),
      /** Say nothing more of a newer version until there is another one. */
      skip: (params: SkipVersion, options?: CallOptions): Promise<UpdateState> =>
        call("updates.skip", params, options),
    },
    usage: {
      /** What was used in a month, by day, model, agent and conversation. */
      month: (params: OfMonth, options?: CallOptions): Promise<Month> =>
        call("usage.month", params, options),
      /** What a conversation and each of its replies cost so far. */
      of_conversation: (params: OfConversation, options?: CallOptions): Promise<ConversationUsage> =>
        call("usage.of_conversation", params, options),
      /**
       * Let the user choose where to write a month's calls as CSV, one line each. NeedsWindow without a
       * window.
       */
      export: (params: OfMonth, options?: CallOptions): Promise<SavedFile> =>
        call("usage.export", params, options),
      /** All versions of the prices that the user entered: by model, the one that begins last first. */
      prices: (options?: CallOptions): Promise<PriceRow[]> =>
        call("usage.prices", null, options),
      /**
       * Set what a model costs from a day on; calls that were made keep what they cost. Returns all
       * versions.
       */
      change_price: (params: ChangePriceInput, options?: CallOptions): Promise<PriceRow[]> =>
        call("usage.change_price", params, options),
      /** What limits were, and when they were set, the last first. */
      limit_changes: (options?: CallOptions): Promise<LimitChange[]> =>
        call("usage.limit_changes", null, options),
    },
  } as const;
}

export type Commands = ReturnType<typeof commandsOver>;
