"""What Windows PowerShell 5.1 and PowerShell 7 both have on Windows, as far as the fixes use it.

Commands are as in Microsoft's reference of 5.1, types and members as in that of .NET Framework 4.5.2, on which 5.1 may
run, and of .NET; classes as in that of WMI. Whoever uses something new looks it up there and adds it here.
"""

from collections.abc import Mapping

COMMON_PARAMETERS = frozenset({"ErrorAction"})

COMMANDS: Mapping[str, frozenset[str]] = {
    "ConvertTo-Json": frozenset({"InputObject", "Depth", "Compress"}),
    "ForEach-Object": frozenset({"Process"}),
    "Get-CimAssociatedInstance": frozenset({"InputObject", "Namespace", "ResultClassName"}),
    "Get-CimInstance": frozenset({"ClassName", "Namespace", "Filter"}),
    "Get-Command": frozenset({"Name", "CommandType"}),
    "Get-Date": frozenset(),
    "Get-ItemProperty": frozenset({"LiteralPath", "Name"}),
    "Get-Process": frozenset({"Id"}),
    "Get-Service": frozenset({"Name"}),
    "Get-WinEvent": frozenset({"FilterHashtable", "MaxEvents"}),
    "New-Object": frozenset({"TypeName", "ArgumentList"}),
    "Out-Null": frozenset(),
    "Read-Host": frozenset({"Prompt"}),
    "Select-Object": frozenset({"First", "Last", "ExpandProperty"}),
    "Set-StrictMode": frozenset({"Version"}),
    "Sort-Object": frozenset({"Property", "Descending"}),
    "Start-Sleep": frozenset({"Seconds", "Milliseconds"}),
    "Test-Path": frozenset({"Path"}),
    "Where-Object": frozenset({"FilterScript"}),
    "Write-Output": frozenset({"InputObject"}),
}
"""Those that only look, with the parameters that are used of them."""

SEVERAL_WORDS = frozenset({"New-Object"})
"""Commands whose parameters take more than one value."""

STATIC: Mapping[str, frozenset[str]] = {
    "Console": frozenset({"Out", "IsInputRedirected", "IsOutputRedirected"}),
    "Environment": frozenset({"OSVersion"}),
    "IntPtr": frozenset({"Zero"}),
    "Math": frozenset({"Abs", "Ceiling", "Floor", "Max", "Min"}),
    "StringComparison": frozenset({"OrdinalIgnoreCase"}),
    "System.Diagnostics.EventLog": frozenset({"WriteEntry"}),
    "System.Diagnostics.ProcessPriorityClass": frozenset({"BelowNormal"}),
    "System.Diagnostics.Stopwatch": frozenset({"StartNew"}),
    "System.IO.Directory": frozenset({"Exists"}),
    "System.IO.File": frozenset({"Open", "SetAttributes", "Delete"}),
    "System.IO.FileAttributes": frozenset({"ReparsePoint"}),
    "System.Security.Principal.WindowsBuiltInRole": frozenset({"Administrator"}),
    "System.Security.Principal.WindowsIdentity": frozenset({"GetCurrent"}),
    "TimeSpan": frozenset({"FromSeconds"}),
    "int": frozenset({"TryParse"}),
}
"""Static members by type."""

TYPES = STATIC.keys() | {
    *(
        "DateTime",
        "System.DateTime",
        "System.IO.DirectoryInfo",
        "System.IO.IOException",
        "System.Collections.ArrayList",
    ),
    *("System.Collections.Queue", "System.Text.StringBuilder", "System.Security.Principal.WindowsPrincipal"),
    *("char", "double", "long", "ordered", "ref", "string", "switch", "void"),
}

MEMBERS: Mapping[str, frozenset[str]] = {
    "Microsoft.Management.Infrastructure.CimInstance": frozenset({"CimInstanceProperties"}),
    "Microsoft.Management.Infrastructure.CimProperty": frozenset({"Value"}),
    "System.Array": frozenset({"Count"}),
    "System.Collections.ArrayList": frozenset({"Add", "Count", "ToArray"}),
    "System.Collections.Hashtable": frozenset(
        {"ContainsKey", "GetEnumerator", "Values", "Keys", "Key", "Value", "Add"}
    ),
    "System.Collections.Queue": frozenset({"Count", "Enqueue", "Dequeue"}),
    "System.DateTime": frozenset({"AddDays", "ToUniversalTime", "ToString"}),
    "System.Diagnostics.Process": frozenset(
        {
            "Handle",
            "StartTime",
            "Path",
            "MainWindowHandle",
            "CloseMainWindow",
            "WaitForExit",
            "HasExited",
            "Kill",
            "PriorityClass",
        }
    ),
    "System.Diagnostics.Stopwatch": frozenset({"Elapsed"}),
    "System.Diagnostics.Eventing.Reader.EventLogRecord": frozenset({"Id", "Message", "ProviderName", "TimeCreated"}),
    "System.Exception": frozenset({"Message", "GetBaseException"}),
    "System.IO.DirectoryInfo": frozenset({"Attributes", "Exists", "Parent", "FullName", "GetFileSystemInfos"}),
    "System.IO.FileInfo": frozenset(
        {"Name", "Length", "Extension", "DirectoryName", "LastWriteTime", "CreationTime", "IsReadOnly"}
    ),
    "System.IO.Stream": frozenset({"Dispose"}),
    "System.IO.TextWriter": frozenset({"WriteLine"}),
    "System.Management.Automation.ApplicationInfo": frozenset({"Path"}),
    "System.Management.Automation.EngineIntrinsics": frozenset({"SessionState"}),
    "System.Management.Automation.SessionState": frozenset({"LanguageMode"}),
    "System.Management.Automation.ErrorRecord": frozenset({"Exception", "FullyQualifiedErrorId"}),
    "System.OperatingSystem": frozenset({"Platform"}),
    "System.Security.Principal.WindowsPrincipal": frozenset({"IsInRole"}),
    "System.ServiceProcess.ServiceController": frozenset(
        {"DependentServices", "ServiceName", "Status", "Start", "Stop", "WaitForStatus"}
    ),
    "System.String": frozenset(
        {
            "Contains",
            "Length",
            "Replace",
            "Split",
            "StartsWith",
            "Substring",
            "ToCharArray",
            "ToUpperInvariant",
            "Trim",
            "TrimEnd",
        }
    ),
    "System.Text.StringBuilder": frozenset({"Append", "Length", "ToString"}),
    "System.TimeSpan": frozenset({"TotalSeconds"}),
    "MSFT_PhysicalDisk": frozenset({"DeviceId", "FriendlyName"}),
    "MSFT_StorageReliabilityCounter": frozenset(
        {"ReadErrorsUncorrected", "WriteErrorsUncorrected", "Wear", "Temperature", "PowerOnHours"}
    ),
    "MSFT_Volume": frozenset({"DriveLetter"}),
    "MSStorageDriver_FailurePredictStatus": frozenset({"InstanceName", "PredictFailure"}),
    "Win32_ComputerSystem": frozenset({"NumberOfLogicalProcessors"}),
    "Win32_LogicalDisk": frozenset({"Size", "FreeSpace"}),
    "Win32_OperatingSystem": frozenset(
        {"TotalVisibleMemorySize", "FreePhysicalMemory", "TotalVirtualMemorySize", "FreeVirtualMemory"}
    ),
    "Win32_PageFileUsage": frozenset({"CurrentUsage", "AllocatedBaseSize"}),
    "Win32_Process": frozenset(
        {
            "ProcessId",
            "ParentProcessId",
            "Name",
            "CommandLine",
            "CreationDate",
            "KernelModeTime",
            "UserModeTime",
            "WorkingSetSize",
        }
    ),
    "Win32_Service": frozenset({"Name", "DisplayName", "State", "StartMode", "ExitCode", "ProcessId"}),
    "Win32_UserProfile": frozenset({"LocalPath"}),
    "Win32_Volume": frozenset({"DriveLetter", "DirtyBitSet"}),
}
"""Members of what the commands return, by type or class."""

RETURNS_NOTHING = frozenset(
    {
        "Delete",
        "Dispose",
        "Enqueue",
        "Kill",
        "SetAttributes",
        "Start",
        "Stop",
        "WaitForStatus",
        "WriteEntry",
        "WriteLine",
    }
)
"""Methods that return nothing: what any other one returns is output unless it is used or thrown away by ``[void]``."""

CHANGES = frozenset(
    {"CloseMainWindow", "Delete", "Kill", "PriorityClass", "SetAttributes", "Start", "Stop", "WriteEntry"}
)
"""Members that change the machine when they are called or assigned."""

AUTOMATIC = frozenset(
    {
        *("_", "args", "null", "true", "false", "PID", "LASTEXITCODE", "PSCommandPath", "ErrorActionPreference"),
        "ExecutionContext",
    }
)
"""Variables that PowerShell has by itself."""

RESERVED = frozenset(
    {
        *("args", "consolefilename", "error", "event", "eventargs", "eventsubscriber", "executioncontext", "false"),
        *(
            "foreach",
            "home",
            "host",
            "input",
            "iscoreclr",
            "islinux",
            "ismacos",
            "iswindows",
            "lastexitcode",
            "matches",
        ),
        *("myinvocation", "nestedpromptlevel", "null", "pid", "profile", "psboundparameters", "pscmdlet"),
        *("pscommandpath", "psculture", "psdebugcontext", "psedition", "pshome", "psitem", "psscriptroot"),
        *("pssenderinfo", "psuiculture", "psversiontable", "pwd", "sender", "shellid", "stacktrace", "switch", "this"),
        "true",
    }
)
"""Variables, in lower case, that PowerShell sets by itself: to assign one is an error, or is undone."""
