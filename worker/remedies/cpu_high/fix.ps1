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
$MayForce = $true
if (-not (Test-Path -Path 'Variable:FM_PID')) { $FM_PID = '' }
if (-not (Test-Path -Path 'Variable:FM_START_TIME')) { $FM_START_TIME = '' }
if (-not (Test-Path -Path 'Variable:FM_ACTION')) { $FM_ACTION = 'terminate' }
if (-not (Test-Path -Path 'Variable:FM_MINIMUM_CPU_PERCENT')) { $FM_MINIMUM_CPU_PERCENT = '50' }
if (-not (Test-Path -Path 'Variable:FM_MEASURE_SECONDS')) { $FM_MEASURE_SECONDS = '3' }
if (-not (Test-Path -Path 'Variable:FM_GRACE_SECONDS')) { $FM_GRACE_SECONDS = '10' }

# ---- What every remedy has: text, the result, the log, its modes ------------------------------------------------

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# A policy may let scripts only use what PowerShell has itself, so that neither a type nor a method is at hand.
if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    $Message = 'a policy restricts the language of scripts here, and this one needs all of it'
    $Known = ''
    if (@('plan', 'apply', 'verify') -contains $Mode) { $Known = $Mode }
    Write-Output -InputObject $Message
    Write-Output -InputObject ('{"remedy":"' + $Remedy + '","mode":"' + $Known + '","outcome":"refused","exit_code":3,"message":"' +
        $Message + '","before":{},"after":{},"changed":[]}')
    exit 3
}

if (-not (Test-Path -Path 'Variable:FM_VERSION')) { $FM_VERSION = '' }
if (-not (Test-Path -Path 'Variable:FM_EVENT')) { $FM_EVENT = '' }
if (-not (Test-Path -Path 'Variable:FM_HOST')) { $FM_HOST = '' }
$Before = [ordered]@{}
$After = [ordered]@{}
$Changed = New-Object -TypeName System.Collections.ArrayList
$Ended = $false
$Interrupted = 'interrupted: what was done until then is logged; verify measures how it stands now'

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object -TypeName System.Text.StringBuilder
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

function ConvertTo-Kibibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1024)
}

function ConvertTo-Mebibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1048576)
}

# Print a line by itself: what a function of PowerShell outputs is what it returns.
function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $script:Ended = $true
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = [ordered]@{
        remedy = $Remedy
        mode = (ConvertTo-Shown $Mode)
        outcome = $Outcome
        exit_code = $Code
        message = $Shown
        before = $Before
        after = $After
        changed = $Changed.ToArray()
    }
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

# Write what is done to the event log, with what it answers.
function Write-Action([string]$Text) {
    $Shown = ConvertTo-Shown $Text
    Write-Line $Shown
    $Answers = $Remedy
    if ($FM_VERSION -ne '') { $Answers += " $FM_VERSION" }
    if ($FM_EVENT -ne '') { $Answers += " for event $FM_EVENT" }
    if ($FM_HOST -ne '') { $Answers += " on $FM_HOST" }
    $Entry = "Fleetmedic: $(ConvertTo-Shown $Answers): $Shown"
    # Only an administrator can make a source of events; the other one is there on every Windows.
    foreach ($Source in 'Fleetmedic', 'Application') {
        try {
            [System.Diagnostics.EventLog]::WriteEntry($Source, $Entry)
            return
        }
        catch {
            continue
        }
    }
    Write-Line '  there is no event log to write that to'
}

# Return a value as a whole number, or end with 2.
function Get-WholeNumber([string]$Name, [string]$Text, [long]$Minimum, [long]$Maximum) {
    $Number = [long]-1
    if ($Text -cmatch '\A(0|[1-9][0-9]{0,17})\z') { $Number = [long]$Text }
    if ($Number -lt $Minimum -or $Number -gt $Maximum) {
        Complete-Fix 2 'usage' "$Name must be a whole number from $Minimum to $Maximum"
    }
    return $Number
}

# End with 3 elsewhere than on Windows: PowerShell 7 runs there too.
function Assert-Windows {
    if ([Environment]::OSVersion.Platform -ne 'Win32NT') {
        Complete-Fix 3 'refused' 'this script is for Windows: on Linux and macOS run the one for bash'
    }
}

function Test-Administrator {
    $Identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $Principal = New-Object -TypeName System.Security.Principal.WindowsPrincipal -ArgumentList $Identity
    return $Principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# End with the code of a step, which has said by itself how it ended unless it was killed.
function Exit-AfterStep([int]$Code) {
    if ($Code -lt 0 -or $Code -gt 3) { Complete-Fix 1 'failed' $Interrupted }
    $script:Ended = $true
    exit $Code
}

# On a terminal: plan, ask when there is something to do, apply, verify.
function Invoke-Steps([string]$Usage) {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' "without a terminal say what to do: $Usage"
    }
    $Shell = (Get-Process -Id $PID).Path
    $Last = ''
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan | ForEach-Object -Process {
        $Last = "$_"
        Write-Line $Last
    }
    if ($LASTEXITCODE -ne 0 -or -not $Last.Contains(',"outcome":"planned",')) { Exit-AfterStep $LASTEXITCODE }
    $Answer = Read-Host -Prompt 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') { Complete-Fix 0 'nothing' 'nothing was changed: the answer was no' }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -eq 0) { & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify }
    Exit-AfterStep $LASTEXITCODE
}

# ---- What every remedy has that ends processes ------------------------------------------------------------------

$Epoch = New-Object -TypeName System.DateTime -ArgumentList 1970, 1, 1

$Windows = @('system', 'idle', 'registry', 'secure system', 'memory compression', 'smss', 'csrss', 'wininit', 'services',
    'lsass', 'lsaiso', 'lsm', 'svchost', 'fontdrvhost', 'msmpeng', 'nissrv', 'mssense', 'wmiprvse', 'spoolsv', 'conhost')
$Installers = @('trustedinstaller', 'tiworker', 'msiexec', 'wuauclt', 'usoclient', 'mousocoreworker')
$Desktop = @('winlogon', 'logonui', 'dwm', 'explorer', 'sihost', 'userinit', 'taskhostw', 'ctfmon', 'rdpclip')
$Databases = @('sqlservr', 'sqlagent', 'msmdsrv', 'mysqld', 'mariadbd', 'postgres', 'mongod', 'mongos', 'oracle', 'tnslsnr',
    'db2syscs', 'redis-server', 'valkey-server', 'memurai', 'influxd', 'clickhouse', 'etcd', 'memcached')
$Hosts = @('sshd', 'dockerd', 'com.docker.backend', 'com.docker.service', 'containerd', 'containerd-shim-runhcs-v1',
    'podman', 'kubelet', 'vmms', 'vmwp', 'vmcompute', 'vmmem', 'vmmemwsl', 'wslservice')

# Return all processes as Windows tells of them, by id.
function Get-AllProcesses {
    $All = @{}
    foreach ($One in Get-CimInstance -ClassName Win32_Process) { $All[[int]$One.ProcessId] = $One }
    return $All
}

# Return when a process started, in Unix seconds; -1 where Windows does not tell.
function Get-Started($One) {
    if ($null -eq $One.CreationDate) { return [long]-1 }
    return [long][Math]::Floor(($One.CreationDate.ToUniversalTime() - $Epoch).TotalSeconds)
}

# Say whether a process is the one that started then; any is where that is not known.
function Test-Same($One, [string]$StartTime) {
    if ($StartTime -eq '') { return $true }
    return [Math]::Abs((Get-Started $One) - [long]$StartTime) -le 2
}

# Return the process of this id that started then, held open so that its id goes to no other one meanwhile; nothing
# when it is gone or is not this user's to end.
function Open-Process([int]$Id, [long]$Started) {
    $Process = Get-Process -Id $Id -ErrorAction SilentlyContinue
    # A property that may not be read is nothing: PowerShell hides the error.
    if ($null -eq $Process -or $null -eq $Process.Handle -or $null -eq $Process.StartTime) { return $null }
    $Seconds = ($Process.StartTime.ToUniversalTime() - $Epoch).TotalSeconds
    if ([Math]::Abs($Seconds - $Started) -gt 2) { return $null }
    return $Process
}

# Return why a process must be left alone; an empty text when it may be touched.
function Get-Protection($One, $All) {
    $Id = [int]$One.ProcessId
    if ($Id -le 4) { return 'it is the system itself' }
    $Ancestor = $PID
    for ($Depth = 0; $Depth -lt 64 -and $All.ContainsKey($Ancestor); $Depth++) {
        if ($Ancestor -eq $Id) { return 'this script runs under it' }
        $Ancestor = [int]$All[$Ancestor].ParentProcessId
    }
    $Name = "$($One.Name)" -replace '\.exe\z', ''
    if ($Windows -contains $Name) { return 'it is part of Windows' }
    if ($Installers -contains $Name) { return 'it installs software, which must not stop half-way' }
    if ($Desktop -contains $Name) { return 'it is the desktop session' }
    if ($Databases -contains $Name) { return 'it is a database' }
    if ($Hosts -contains $Name) { return 'it lets people in, or runs containers or virtual machines' }
    if ("$($One.CommandLine)" -match '[\\/ "]fleetmedic(\.exe)?(["\s]|\z)|\scli\.(main|guardian)(\s|\z)|celery.*fleetmedic') {
        return 'it is part of Fleetmedic'
    }
    if ($null -eq (Open-Process $Id (Get-Started $One))) { return 'this user may not end it: run this as an administrator' }
    return ''
}

# Return the process that was named. Ends the script when it is gone, is another one, or must be left alone.
function Get-Target([int]$Id, [string]$StartTime, $All) {
    if (-not $All.ContainsKey($Id)) { Complete-Fix 0 'nothing' "process $Id has ended by itself" }
    $One = $All[$Id]
    if (-not (Test-Same $One $StartTime)) {
        Complete-Fix 0 'nothing' "the process has ended: its id $Id is now that of another one, which is left alone"
    }
    $Why = Get-Protection $One $All
    if ($Why -ne '') { Complete-Fix 3 'refused' "process $Id ($($One.Name)) is left alone: $Why" }
    return $One
}

# Tell how a process would be ended.
function Write-EndPlan($One, [int]$Grace) {
    $Id = [int]$One.ProcessId
    $Shown = "process $Id ($(ConvertTo-Shown $One.Name))"
    $Process = Open-Process $Id (Get-Started $One)
    if ($null -ne $Process -and $Process.MainWindowHandle -ne [IntPtr]::Zero) {
        Write-Line "Would ask $Shown to end by closing its window, and wait $Grace s for it."
    }
    else {
        Write-Line "Would ask $Shown to end, but it has no window to close: only -Force would end it."
    }
    foreach ($Service in @(Get-CimInstance -ClassName Win32_Service -Filter "ProcessId = $Id")) {
        Write-Line "  it runs the service $(ConvertTo-Shown $Service.Name), which Windows may start again"
    }
}

# Ask a process to end, wait, and only with -Force stop it; note what ended it. Returns whether it is gone.
function Invoke-ApplyEnd($One, [int]$Grace) {
    $Id = [int]$One.ProcessId
    $Done = [ordered]@{ pid = $Id; name = (ConvertTo-Shown $One.Name); action = 'end' }
    $Process = Open-Process $Id (Get-Started $One)
    if ($null -eq $Process) { return $true }
    $Shown = "process $Id ($(ConvertTo-Shown $One.Name))"
    $Asked = $false
    if ($Process.MainWindowHandle -ne [IntPtr]::Zero) {
        Write-Action "asking $Shown to end"
        try {
            $Asked = $Process.CloseMainWindow()
        }
        catch {
            Write-Line "  not asked: $(ConvertTo-Shown $_.Exception.Message)"
        }
    }
    for ($Waited = 0; $Asked -and $Waited -lt 5 * $Grace -and -not $Process.HasExited; $Waited++) {
        [void]$Process.WaitForExit(200)
    }
    if ($Process.HasExited) {
        [void]$Changed.Add($Done)
        return $true
    }
    $What = 'has no window that could be asked to close'
    if ($Asked) { $What = "did not end within $Grace s" }
    if (-not $Force) {
        Write-Line "$Shown ${What}: -Force would stop it"
        return $false
    }
    Write-Action "stopping $Shown, which $What"
    try {
        $Process.Kill()
    }
    catch {
        Write-Line "  not stopped: $(ConvertTo-Shown $_.Exception.Message)"
    }
    if (-not $Process.WaitForExit(5000)) { return $false }
    $Done['action'] = 'kill'
    [void]$Changed.Add($Done)
    return $true
}

# ---- This remedy ------------------------------------------------------------------------------------------------

$LimitPercent = 85
$MostTargets = 3

function Get-CpuSeconds($One) {
    return ([double]$One.KernelModeTime + [double]$One.UserModeTime) / 10000000
}

# Measure over an interval. Returns the percent of all CPUs that was busy, all processes by id, and id, name and percent
# of one CPU of those that were busy, the busiest first. One that was born meanwhile is rated from its start.
function Measure-Load([int]$Seconds) {
    $Clock = [System.Diagnostics.Stopwatch]::StartNew()
    $First = Get-AllProcesses
    Start-Sleep -Seconds $Seconds
    $Elapsed = $Clock.Elapsed.TotalSeconds
    $Now = Get-Date
    $Second = Get-AllProcesses
    $Rows = New-Object -TypeName System.Collections.ArrayList
    $Idle = 0.0
    $Sum = 0.0
    foreach ($One in $Second.Values) {
        $Id = [int]$One.ProcessId
        $Used = Get-CpuSeconds $One
        $Span = $Elapsed
        if ($First.ContainsKey($Id) -and (Get-Started $First[$Id]) -eq (Get-Started $One)) {
            $Used -= Get-CpuSeconds $First[$Id]
        }
        elseif ($null -ne $One.CreationDate) {
            $Span = [Math]::Max(($Now - $One.CreationDate).TotalSeconds, 0.1)
        }
        # The time of process 0 is what the CPUs had nothing to do in.
        if ($Id -eq 0) {
            $Idle = $Used
            continue
        }
        $Sum += $Used
        $Percent = [int][Math]::Floor(100 * $Used / $Span)
        if ($Id -gt 4 -and $Percent -gt 0) {
            [void]$Rows.Add([ordered]@{ pid = $Id; name = (ConvertTo-Shown $One.Name); cpu_percent = $Percent })
        }
    }
    $Machine = Get-CimInstance -ClassName Win32_ComputerSystem
    $Capacity = $Elapsed * $Machine.NumberOfLogicalProcessors
    if ($Idle -gt 0) { $Sum = $Capacity - $Idle }
    $Busy = 100 * $Sum / $Capacity
    return @{
        total = [int][Math]::Floor([Math]::Min([Math]::Max($Busy, 0), 100))
        all = $Second
        rows = @($Rows | Sort-Object -Property { $_['cpu_percent'] } -Descending)
    }
}

function Get-PercentOf($Load, [int]$Id) {
    foreach ($Row in $Load['rows']) {
        if ($Row['pid'] -eq $Id) { return $Row['cpu_percent'] }
    }
    return 0
}

# Say whether a process gives way to others already.
function Test-Low($One) {
    $Process = Open-Process ([int]$One.ProcessId) (Get-Started $One)
    return $null -ne $Process -and @('Idle', 'BelowNormal') -contains "$($Process.PriorityClass)"
}

# Lower the priority of a process, and note it. Returns whether that could be done.
function Invoke-ApplyLowering($One) {
    $Id = [int]$One.ProcessId
    $Process = Open-Process $Id (Get-Started $One)
    if ($null -eq $Process) { return $true }
    Write-Action "lowering the priority of process $Id ($($One.Name)) to below normal"
    try {
        $Process.PriorityClass = [System.Diagnostics.ProcessPriorityClass]::BelowNormal
        [void]$Changed.Add([ordered]@{ pid = $Id; name = (ConvertTo-Shown $One.Name); action = 'renice' })
        return $true
    }
    catch {
        Write-Line "  not done: $(ConvertTo-Shown $_.Exception.Message)"
        return $false
    }
}

function Invoke-Apply($Targets, [int]$Measure, [int]$Grace) {
    $Failed = @()
    foreach ($One in $Targets) {
        if ($FM_ACTION -eq 'renice') {
            $Worked = Invoke-ApplyLowering $One
        }
        else {
            $Worked = Invoke-ApplyEnd $One $Grace
        }
        if (-not $Worked) { $Failed += $One.ProcessId }
    }
    $Total = (Measure-Load $Measure)['total']
    $After.Add('cpu_percent', $Total)
    if ($Failed.Count -gt 0) { Complete-Fix 1 'failed' "not done for process $($Failed -join ' '); CPU is now busy at $Total %" }
    Complete-Fix 0 'done' "done; CPU is now busy at $Total %"
}

# Return the busiest processes that may be touched. Ends the script when there is none.
function Get-BusyTargets($Load, [int]$Minimum) {
    $Targets = @()
    $Spared = 0
    foreach ($Row in $Load['rows']) {
        if ($Row['cpu_percent'] -lt $Minimum -or $Targets.Count -ge $MostTargets) { break }
        $One = $Load['all'][$Row['pid']]
        $Why = Get-Protection $One $Load['all']
        if ($Why -eq '') {
            $Targets += $One
        }
        else {
            Write-Line "Process $($Row['pid']) ($($Row['name'])) is left alone: $Why."
            $Spared += 1
        }
    }
    if ($Targets.Count -eq 0 -and $Spared -gt 0) { Complete-Fix 3 'refused' 'all that is busy is to be left alone' }
    if ($Targets.Count -eq 0) { Complete-Fix 0 'nothing' "no process uses $Minimum % of one CPU or more" }
    return $Targets
}

# Tell what would be done to these processes, whether they were named or are the busiest.
function Write-Plan($Targets, [int]$Grace) {
    foreach ($One in $Targets) {
        if ($FM_ACTION -eq 'renice') {
            Write-Line "Would lower the priority of process $($One.ProcessId) ($(ConvertTo-Shown $One.Name)) to below normal."
        }
        else {
            Write-EndPlan $One $Grace
        }
    }
    if ($FM_ACTION -ne 'renice') { Write-Line 'Milder: with the action renice it would go on, and give way to all else.' }
    if ($FM_PID -eq '') { Write-Line 'Without a pid, apply measures anew and takes what is the busiest then.' }
}

function Invoke-Fix {
    $Id = 0
    if ($FM_PID -ne '') { $Id = [int](Get-WholeNumber 'pid' $FM_PID 2 4194304) }
    $StartTime = $FM_START_TIME.Split('.')[0]
    if ($StartTime -ne '') { [void](Get-WholeNumber 'start_time' $StartTime 0 253402300799) }
    $Minimum = [int](Get-WholeNumber 'minimum_cpu_percent' ($FM_MINIMUM_CPU_PERCENT.Split('.')[0]) 1 100000)
    $Measure = [int](Get-WholeNumber 'measure_seconds' $FM_MEASURE_SECONDS 1 60)
    $Grace = [int](Get-WholeNumber 'grace_seconds' $FM_GRACE_SECONDS 1 300)
    if (@('terminate', 'renice') -cnotcontains $FM_ACTION) { Complete-Fix 2 'usage' 'action must be terminate or renice' }
    Assert-Windows

    # Before anything is measured: whether the process that was named may be touched at all.
    if ($Id -gt 0 -and $Mode -ne 'verify') { [void](Get-Target $Id $StartTime (Get-AllProcesses)) }

    $Load = Measure-Load $Measure
    $Total = $Load['total']
    $Busiest = @($Load['rows'] | Select-Object -First 10)
    Write-Line "CPU is busy at $Total %. The busiest processes, in percent of one CPU over $Measure s:"
    foreach ($Row in $Busiest) {
        $One = $Load['all'][$Row['pid']]
        Write-Line "  $($Row['cpu_percent']) %  pid $($Row['pid'])  $($Row['name'])  $(ConvertTo-Shown $One.CommandLine)"
    }
    $Before.Add('cpu_percent', $Total)
    $Before.Add('processes', $Busiest)

    $Own = Get-PercentOf $Load $Id
    if ($Mode -eq 'verify') {
        if ($Own -ge $Minimum -and (Test-Same $Load['all'][$Id] $StartTime)) {
            Complete-Fix 1 'failed' "process $Id still uses $Own % of one CPU"
        }
        if ($Total -ge $LimitPercent) { Complete-Fix 1 'failed' "CPU is still busy at $Total %, not below $LimitPercent %" }
        Complete-Fix 0 'done' "CPU is busy at $Total %, below $LimitPercent %"
    }
    if ($Id -eq 0) {
        $Targets = @(Get-BusyTargets $Load $Minimum)
    }
    else {
        $Targets = @(Get-Target $Id $StartTime $Load['all'])
        if ($Own -lt $Minimum) { Complete-Fix 0 'nothing' "process $Id uses $Own % of one CPU, which is below $Minimum %" }
    }
    if ($FM_ACTION -eq 'renice') {
        $Targets = @($Targets | Where-Object -FilterScript { -not (Test-Low $_) })
        if ($Targets.Count -eq 0) { Complete-Fix 0 'nothing' 'what is busy gives way already: its priority is below normal' }
    }
    if ($Mode -eq 'plan') {
        Write-Plan $Targets $Grace
        Complete-Fix 0 'planned' 'nothing was changed'
    }
    Invoke-Apply $Targets $Measure $Grace
}

# ---- What every remedy ends with --------------------------------------------------------------------------------

try {
    $Usage = 'fix.ps1 plan | apply | verify'
    if ($MayForce) { $Usage = 'fix.ps1 plan | apply [-Force] | verify' }
    if ($args.Count -gt 0 -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Force -and -not ($MayForce -and $Mode -eq 'apply')) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Mode -eq '') { Invoke-Steps $Usage }
    Invoke-Fix
}
catch {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}
finally {
    # Nothing but Ctrl+C comes here without a result.
    if (-not $Ended) { Complete-Fix 1 'failed' $Interrupted }
}
