param(
    [string]$Mode = '',
    [switch]$Force
)
# fleetmedic: values
# Names what holds the memory, and ends the one process that was named.
#
#   powershell -File fix.ps1 plan             shows what would be done, and changes nothing
#   powershell -File fix.ps1 apply [-Force]   does it; -Force stops what does not end when asked
#   powershell -File fix.ps1 verify           measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

$Remedy = 'memory_high'
if (-not (Test-Path -Path 'Variable:FM_PID')) { $FM_PID = '' }
if (-not (Test-Path -Path 'Variable:FM_START_TIME')) { $FM_START_TIME = '' }
if (-not (Test-Path -Path 'Variable:FM_ACTION')) { $FM_ACTION = 'report' }
if (-not (Test-Path -Path 'Variable:FM_DROP_CACHES')) { $FM_DROP_CACHES = 'false' }
if (-not (Test-Path -Path 'Variable:FM_MINIMUM_MEMORY_PERCENT')) { $FM_MINIMUM_MEMORY_PERCENT = '10' }
if (-not (Test-Path -Path 'Variable:FM_GRACE_SECONDS')) { $FM_GRACE_SECONDS = '10' }

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# ---- What every remedy has: text, the result, guards ------------------------------------------------------------

$Before = New-Object System.Collections.Specialized.OrderedDictionary
$After = New-Object System.Collections.Specialized.OrderedDictionary
$Changed = New-Object System.Collections.ArrayList

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object System.Text.StringBuilder
    foreach ($Character in $Text.ToCharArray()) {
        if ($Shown.Length -ge 200) { break }
        $Code = [int]$Character
        if ($Code -ge 32 -and $Code -le 126) {
            [void]$Shown.Append($Character)
        }
        else {
            [void]$Shown.Append('\u' + $Code.ToString('x4'))
        }
    }
    return $Shown.ToString()
}

function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = New-Object System.Collections.Specialized.OrderedDictionary
    $Result.Add('remedy', $Remedy)
    $Result.Add('mode', (ConvertTo-Shown $Mode))
    $Result.Add('outcome', $Outcome)
    $Result.Add('exit_code', $Code)
    $Result.Add('message', $Shown)
    $Result.Add('before', $Before)
    $Result.Add('after', $After)
    $Result.Add('changed', $Changed.ToArray())
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

trap {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}

# Return a value as a whole number, or end with 2.
function Get-WholeNumber([string]$Name, [string]$Text, [int]$Minimum, [int]$Maximum) {
    $Number = 0
    $Plain = $Text.Split('.')[0]
    if (-not [int]::TryParse($Plain, [ref]$Number) -or $Number -lt $Minimum -or $Number -gt $Maximum) {
        Complete-Fix 2 'usage' "$Name must be a whole number from $Minimum to $Maximum"
    }
    return $Number
}

# Write what is done to the event log, where it may be written.
function Write-Action([string]$Text) {
    Write-Line $Text
    try {
        [System.Diagnostics.EventLog]::WriteEntry('Fleetmedic', "${Remedy}: $Text")
    }
    catch {
        Write-Verbose 'the event log has no source Fleetmedic'
    }
}

# Return a process, or nothing when it is gone.
function Get-One([int]$Id) {
    return Get-Process -Id $Id -ErrorAction SilentlyContinue
}

# Return when a process started, in Unix seconds; -1 where that may not be known.
function Get-Started($Process) {
    try {
        return ([DateTimeOffset]$Process.StartTime).ToUnixTimeSeconds()
    }
    catch {
        return -1
    }
}

# Say whether there still is a process of this id that started then.
function Test-Same([int]$Id, [long]$Started) {
    $Process = Get-One $Id
    if ($null -eq $Process) { return $false }
    return [Math]::Abs((Get-Started $Process) - $Started) -le 2
}

# Return the command line and the parent of a process, as Windows has them; nothing when it is gone.
function Get-Origin([int]$Id) {
    return Get-CimInstance -ClassName Win32_Process -Filter "ProcessId = $Id" -ErrorAction SilentlyContinue
}

$System = @('system', 'idle', 'registry', 'secure system', 'memory compression', 'smss', 'csrss', 'wininit', 'services',
    'lsass', 'lsaiso', 'svchost', 'fontdrvhost', 'msmpeng', 'wmiprvse', 'spoolsv')
$Desktop = @('winlogon', 'logonui', 'dwm', 'explorer', 'sihost', 'userinit', 'taskhostw', 'rdpclip')
$Databases = @('sqlservr', 'mysqld', 'mariadbd', 'postgres', 'mongod', 'oracle', 'redis-server', 'memurai', 'influxd')
$Hosts = @('sshd', 'dockerd', 'com.docker.backend', 'containerd', 'vmms', 'vmwp', 'vmcompute', 'vmmem')

# Return why a process must be left alone; an empty text when it may be touched.
function Get-Protection($Process) {
    if ($Process.Id -le 4) { return 'it is the system itself' }
    $Ancestor = $PID
    for ($Depth = 0; $Depth -lt 32 -and $Ancestor -gt 4; $Depth++) {
        if ($Ancestor -eq $Process.Id) { return 'this script runs under it' }
        $Origin = Get-Origin $Ancestor
        if ($null -eq $Origin) { break }
        $Ancestor = [int]$Origin.ParentProcessId
    }
    $Name = $Process.ProcessName.ToLowerInvariant()
    if ($System -contains $Name) { return 'it is part of Windows' }
    if ($Desktop -contains $Name) { return 'it is the desktop session' }
    if ($Databases -contains $Name) { return 'it is a database' }
    if ($Hosts -contains $Name) { return 'it lets people in, or runs containers or virtual machines' }
    $Origin = Get-Origin $Process.Id
    if ($null -ne $Origin -and "$($Origin.CommandLine)" -match '[\\/ ]fleetmedic(\.exe)?[" ]| cli\.main ') {
        return 'it is part of Fleetmedic'
    }
    if ((Get-Started $Process) -lt 0) { return 'this user may not look at it: run this as an administrator' }
    return ''
}

# Ask a process to end, wait, and only with -Force stop it. Returns whether it is gone.
function Invoke-ApplyEnd([int]$Id, [long]$Started, [int]$Grace) {
    if (-not (Test-Same $Id $Started)) { return $true }
    $Process = Get-One $Id
    $Name = ConvertTo-Shown $Process.ProcessName
    Write-Action "asking process $Id ($Name) to end"
    try {
        [void]$Process.CloseMainWindow()
    }
    catch {
        Write-Line "process $Id cannot be asked: $(ConvertTo-Shown $_.Exception.Message)"
    }
    $Deadline = (Get-Date).AddSeconds($Grace)
    while ((Get-Date) -lt $Deadline) {
        if (-not (Test-Same $Id $Started)) { return $true }
        Start-Sleep -Milliseconds 200
    }
    if (-not $Force) {
        Write-Line "process $Id ($Name) did not end within $Grace s: -Force would stop it"
        return $false
    }
    Write-Action "stopping process $Id ($Name)"
    Stop-Process -Id $Id -Force -ErrorAction SilentlyContinue
    Start-Sleep -Milliseconds 500
    return -not (Test-Same $Id $Started)
}

# Return the process that is to be ended. Ends the script when it is gone, is another one, or must be left alone.
function Get-Target([int]$Id, [string]$StartTime) {
    $Process = Get-One $Id
    if ($null -eq $Process) { Complete-Fix 0 'nothing' "process $Id has ended by itself" }
    if ($StartTime -ne '' -and -not (Test-Same $Id ([long]$StartTime.Split('.')[0]))) {
        Complete-Fix 0 'nothing' "the process has ended: its id $Id is now that of another one, which is left alone"
    }
    $Why = Get-Protection $Process
    if ($Why -ne '') { Complete-Fix 3 'refused' "process $Id ($($Process.ProcessName)) is left alone: $Why" }
    return $Process
}

if ($args.Count -gt 0 -or ($Force -and $Mode -ne 'apply') -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) {
    Complete-Fix 2 'usage' 'usage: fix.ps1 plan | apply [-Force] | verify'
}
if ($Mode -eq '') {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' 'without a terminal say what to do: plan | apply | verify'
    }
    $Shell = (Get-Process -Id $PID).Path
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    $Answer = Read-Host 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') {
        Write-Line 'Nothing was changed.'
        exit 0
    }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify
    exit $LASTEXITCODE
}

# ---- This remedy ------------------------------------------------------------------------------------------------

$Minimum = Get-WholeNumber 'minimum_memory_percent' $FM_MINIMUM_MEMORY_PERCENT 1 100
$Grace = Get-WholeNumber 'grace_seconds' $FM_GRACE_SECONDS 1 300
$Id = 0
if ($FM_PID -ne '') { $Id = Get-WholeNumber 'pid' $FM_PID 2 4194304 }
if (@('report', 'terminate') -notcontains $FM_ACTION) { Complete-Fix 2 'usage' 'action must be report or terminate' }
if (@('true', 'false') -notcontains $FM_DROP_CACHES) { Complete-Fix 2 'usage' 'drop_caches must be true or false' }
if ($FM_ACTION -eq 'terminate' -and $Id -eq 0) {
    Complete-Fix 2 'usage' 'pid is needed to end a process: a whole number from 2 to 4194304'
}
if ($FM_DROP_CACHES -eq 'true') { Complete-Fix 3 'refused' 'caches can be dropped on Linux only' }
$LimitPercent = 90

# Return the memory of this machine: total and available, in KiB.
function Get-Memory {
    $Machine = Get-CimInstance -ClassName Win32_OperatingSystem
    return @{ total = [long]$Machine.TotalVisibleMemorySize; available = [long]$Machine.FreePhysicalMemory }
}

function Get-MemoryPercent {
    $Memory = Get-Memory
    return [int][Math]::Floor(100 * ($Memory['total'] - $Memory['available']) / $Memory['total'])
}

$TotalKib = (Get-Memory)['total']
$Used = Get-MemoryPercent
$Before.Add('memory_percent', $Used)

# End the process and tell what that gave.
function Invoke-Apply($Process) {
    $Name = ConvertTo-Shown $Process.ProcessName
    $Gone = Invoke-ApplyEnd $Process.Id (Get-Started $Process) $Grace
    $Now = Get-MemoryPercent
    $After.Add('memory_percent', $Now)
    if (-not $Gone) { Complete-Fix 1 'failed' "process $($Process.Id) did not end; memory is now used at $Now %" }
    [void]$Changed.Add(@{ pid = $Process.Id; name = $Name; action = 'end' })
    Complete-Fix 0 'done' "process $($Process.Id) has ended; memory is now used at $Now %"
}

Write-Line "Memory is used at $Used % of $([int]($TotalKib / 1024)) MiB. The biggest processes:"
$Rows = New-Object System.Collections.ArrayList
foreach ($Process in @(Get-Process | Sort-Object -Property WorkingSet64 -Descending | Select-Object -First 10)) {
    $Percent = [int][Math]::Floor(100 * ($Process.WorkingSet64 / 1024) / $TotalKib)
    $Name = ConvertTo-Shown $Process.ProcessName
    Write-Line "  $([int]($Process.WorkingSet64 / 1048576)) MiB  $Percent %  pid $($Process.Id)  $Name"
    [void]$Rows.Add(@{ pid = $Process.Id; name = $Name; memory_percent = $Percent })
}
$Before.Add('processes', $Rows.ToArray())
foreach ($PageFile in @(Get-CimInstance -ClassName Win32_PageFileUsage)) {
    Write-Line "The page file is used at $($PageFile.CurrentUsage) MiB of $($PageFile.AllocatedBaseSize) MiB."
}

if ($Mode -eq 'verify') {
    if ($Used -gt $LimitPercent) { Complete-Fix 1 'failed' "memory is still used at $Used %, above $LimitPercent %" }
    Complete-Fix 0 'done' "memory is used at $Used %, not above $LimitPercent %"
}
if ($FM_ACTION -eq 'report') {
    Complete-Fix 0 'nothing' 'only a report was asked for: name a process with pid and action=terminate to end it'
}
$Target = Get-Target $Id $FM_START_TIME
$Own = [int][Math]::Floor(100 * ($Target.WorkingSet64 / 1024) / $TotalKib)
if ($Own -lt $Minimum) { Complete-Fix 0 'nothing' "process $Id holds $Own % of the memory, which is below $Minimum %" }
if ($Mode -eq 'plan') {
    Write-Line "Would ask process $Id ($(ConvertTo-Shown $Target.ProcessName)) to end, and wait $Grace s for it."
    Complete-Fix 0 'planned' 'nothing was changed'
}
Invoke-Apply $Target
