param(
    [string]$Mode = '',
    [switch]$Force
)
# fleetmedic: values
# Ends what keeps the CPU busy, or lowers its priority.
#
#   powershell -File fix.ps1 plan             shows what would be done, and changes nothing
#   powershell -File fix.ps1 apply [-Force]   does it; -Force stops what does not end when asked
#   powershell -File fix.ps1 verify           measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

$Remedy = 'cpu_high'
if (-not (Test-Path -Path 'Variable:FM_PID')) { $FM_PID = '' }
if (-not (Test-Path -Path 'Variable:FM_START_TIME')) { $FM_START_TIME = '' }
if (-not (Test-Path -Path 'Variable:FM_ACTION')) { $FM_ACTION = 'terminate' }
if (-not (Test-Path -Path 'Variable:FM_MINIMUM_CPU_PERCENT')) { $FM_MINIMUM_CPU_PERCENT = '50' }
if (-not (Test-Path -Path 'Variable:FM_MEASURE_SECONDS')) { $FM_MEASURE_SECONDS = '3' }
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

$Minimum = Get-WholeNumber 'minimum_cpu_percent' $FM_MINIMUM_CPU_PERCENT 1 100000
$Measure = Get-WholeNumber 'measure_seconds' $FM_MEASURE_SECONDS 1 60
$Grace = Get-WholeNumber 'grace_seconds' $FM_GRACE_SECONDS 1 300
$Id = 0
if ($FM_PID -ne '') { $Id = Get-WholeNumber 'pid' $FM_PID 2 4194304 }
if (@('terminate', 'renice') -notcontains $FM_ACTION) { Complete-Fix 2 'usage' 'action must be terminate or renice' }
$LimitPercent = 85
$MostTargets = 3

# Return the CPU time of each process in seconds, by id.
function Get-CpuTimes {
    $Times = @{}
    foreach ($Process in Get-Process) {
        if ($null -ne $Process.CPU) { $Times[$Process.Id] = [double]$Process.CPU }
    }
    return $Times
}

# Return id, name and percent of one CPU of each process over the interval, the busiest first. One that was born
# meanwhile is rated from its start.
function Get-Ranking {
    $First = Get-CpuTimes
    $Began = Get-Date
    Start-Sleep -Seconds $Measure
    $Ranking = New-Object System.Collections.ArrayList
    foreach ($Process in Get-Process) {
        if ($Process.Id -le 4 -or $null -eq $Process.CPU) { continue }
        $Used = [double]$Process.CPU
        $Since = $Began
        if ($First.ContainsKey($Process.Id)) {
            $Used -= $First[$Process.Id]
        }
        elseif ((Get-Started $Process) -ge 0) {
            $Since = $Process.StartTime
        }
        $Elapsed = [Math]::Max(((Get-Date) - $Since).TotalSeconds, 0.1)
        $Row = New-Object System.Collections.Specialized.OrderedDictionary
        $Row.Add('pid', $Process.Id)
        $Row.Add('name', (ConvertTo-Shown $Process.ProcessName))
        $Row.Add('cpu_percent', [int][Math]::Floor(100 * $Used / $Elapsed))
        [void]$Ranking.Add($Row)
    }
    return @($Ranking | Sort-Object -Property { $_['cpu_percent'] } -Descending)
}

function Get-Total($Ranking) {
    $Sum = 0
    foreach ($Row in $Ranking) { $Sum += $Row['cpu_percent'] }
    return [int][Math]::Floor($Sum / [Environment]::ProcessorCount)
}

function Get-PercentOf($Ranking, [int]$Wanted) {
    foreach ($Row in $Ranking) {
        if ($Row['pid'] -eq $Wanted) { return $Row['cpu_percent'] }
    }
    return 0
}

function Invoke-ApplyRenice([int]$Wanted) {
    $Process = Get-One $Wanted
    if ($null -eq $Process) { return $true }
    Write-Action "lowering the priority of process $Wanted ($(ConvertTo-Shown $Process.ProcessName))"
    try {
        $Process.PriorityClass = [System.Diagnostics.ProcessPriorityClass]::BelowNormal
        return $true
    }
    catch {
        Write-Line "not done: $(ConvertTo-Shown $_.Exception.Message)"
        return $false
    }
}

function Invoke-Apply($Targets) {
    $Failed = @()
    foreach ($Process in $Targets) {
        $Name = ConvertTo-Shown $Process.ProcessName
        $Action = 'end'
        if ($FM_ACTION -eq 'renice') {
            $Action = 'renice'
            $Worked = Invoke-ApplyRenice $Process.Id
        }
        else {
            $Worked = Invoke-ApplyEnd $Process.Id (Get-Started $Process) $Grace
        }
        if ($Worked) {
            [void]$Changed.Add(@{ pid = $Process.Id; name = $Name; action = $Action })
        }
        else {
            $Failed += $Process.Id
        }
    }
    $Total = Get-Total (Get-Ranking)
    $After.Add('cpu_percent', $Total)
    if ($Failed.Count -gt 0) { Complete-Fix 1 'failed' "not done for process $($Failed -join ' '); CPU is now busy at $Total %" }
    Complete-Fix 0 'done' "done; CPU is now busy at $Total %"
}

# Before anything is measured: whether the process that was named may be touched at all.
$Named = $null
if ($Id -gt 0 -and $Mode -ne 'verify') { $Named = Get-Target $Id $FM_START_TIME }

$Ranking = Get-Ranking
$Total = Get-Total $Ranking
$Busiest = @($Ranking | Where-Object -FilterScript { $_['cpu_percent'] -gt 0 } | Select-Object -First 10)
Write-Line "CPU is busy at $Total %. The busiest processes, in percent of one CPU over $Measure s:"
foreach ($Row in $Busiest) { Write-Line "  $($Row['cpu_percent']) %  pid $($Row['pid'])  $($Row['name'])" }
$Before.Add('cpu_percent', $Total)
$Before.Add('processes', $Busiest)

if ($Mode -eq 'verify') {
    $Own = Get-PercentOf $Ranking $Id
    if ($Id -gt 0 -and $Own -ge $Minimum -and ($FM_START_TIME -eq '' -or (Test-Same $Id ([long]$FM_START_TIME.Split('.')[0])))) {
        Complete-Fix 1 'failed' "process $Id still uses $Own % of one CPU"
    }
    if ($Total -gt $LimitPercent) { Complete-Fix 1 'failed' "CPU is still busy at $Total %, above $LimitPercent %" }
    Complete-Fix 0 'done' "CPU is busy at $Total %, not above $LimitPercent %"
}

$Targets = @()
if ($null -ne $Named) {
    $Own = Get-PercentOf $Ranking $Id
    if ($Own -lt $Minimum) { Complete-Fix 0 'nothing' "process $Id uses $Own % of one CPU, which is below $Minimum %" }
    $Targets = @($Named)
}
else {
    $Spared = 0
    foreach ($Row in $Busiest) {
        if ($Row['cpu_percent'] -lt $Minimum -or $Targets.Count -ge $MostTargets) { break }
        $Process = Get-One $Row['pid']
        if ($null -eq $Process) { continue }
        $Why = Get-Protection $Process
        if ($Why -eq '') {
            $Targets += $Process
        }
        else {
            Write-Line "Process $($Row['pid']) ($($Row['name'])) is left alone: $Why."
            $Spared += 1
        }
    }
    if ($Targets.Count -eq 0 -and $Spared -gt 0) { Complete-Fix 3 'refused' 'all that is busy is to be left alone' }
    if ($Targets.Count -eq 0) { Complete-Fix 0 'nothing' "no process uses $Minimum % of one CPU or more" }
}

if ($Mode -eq 'plan') {
    foreach ($Process in $Targets) {
        $Name = ConvertTo-Shown $Process.ProcessName
        if ($FM_ACTION -eq 'renice') {
            Write-Line "Would lower the priority of process $($Process.Id) ($Name) to below normal."
        }
        else {
            Write-Line "Would ask process $($Process.Id) ($Name) to end, and wait $Grace s for it."
        }
    }
    Complete-Fix 0 'planned' 'nothing was changed'
}
Invoke-Apply $Targets
